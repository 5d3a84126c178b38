;; nbb read_frames.cljs FILE: whether ClojureScript's EDN reader, which is that of Sente's clients,
;; takes each text of a file of lines in base64. A line each: `+`, or `- ` and why not.
(ns read-frames
  (:require [clojure.edn :as edn]
            [clojure.string :as string]
            ["fs" :as fs]))

(defn answer [line]
  (try
    (edn/read-string (.toString (js/Buffer.from line "base64") "utf8"))
    "+"
    (catch :default error
      (str "- " (string/replace (.-message error) #"\s+" " ")))))

(let [file (last (js->clj js/process.argv))
      lines (string/split-lines (fs/readFileSync file "utf8"))]
  (println (string/join "\n" (map answer lines))))
