;; Prints the documents of pprint.jsonl anew, as Clojure 1.11 does. In this directory:
;;
;;     clojure pprint.clj < pprint.jsonl > new.jsonl
;;
;; Each line has a document as `pr-str` prints it, and what `pprint` makes of it with right margins
;; of 20, 40, 72 and 100. To add a document, add a line with it as a string in a vector.
(require '[clojure.edn :as edn] '[clojure.pprint :as pprint] '[clojure.string :as string])

(defn quoted [text]
  (str "\"" (string/escape text {\" "\\\"" \\ "\\\\" \newline "\\n"}) "\""))

(defn pretty [value margin]
  (binding [pprint/*print-right-margin* margin]
    (string/trim-newline (with-out-str (pprint/pprint value)))))

(binding [*print-namespace-maps* false
          *in* (java.io.BufferedReader. (java.io.InputStreamReader. System/in "UTF-8"))
          *out* (java.io.OutputStreamWriter. System/out "UTF-8")]
  (doseq [line (line-seq *in*)]
    (let [value (edn/read-string {:default tagged-literal} (first (edn/read-string line)))
          texts (cons (pr-str value) (map #(pretty value %) [20 40 72 100]))]
      (println (str "[" (string/join "," (map quoted texts)) "]"))))
  (flush))
