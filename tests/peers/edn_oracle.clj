;; Says what `clojure.edn` makes of each text it is given.
;;
;; Standard input: texts, each as a length of four bytes, big end first, and so many bytes of UTF-8.
;; Standard output, in the same framing: Clojure's version, and then an answer for each text, in
;; order: `+` and the canonical form of the value, `-` and why the text is refused, or `!` and what
;; broke, which is no answer. Canonical forms tell types apart, and sort what has no order.
(ns edn-oracle
  (:require [clojure.edn :as edn]
            [clojure.string :as string])
  (:import (clojure.lang BigInt Keyword Ratio Symbol TaggedLiteral)
           (java.io BufferedInputStream BufferedOutputStream DataInputStream DataOutputStream
                    EOFException)
           (java.util Date UUID)))

(set! *warn-on-reflection* true)

(defn quoted
  "A text in ASCII, with anything else as its UTF-16 units."
  [^String text]
  (let [out (StringBuilder. "\"")]
    (dotimes [i (.length text)]
      (let [c (.charAt text i)]
        (if (and (<= 0x20 (int c) 0x7e) (not= c \") (not= c \\))
          (.append out c)
          (.append out (format "\\%04x" (int c))))))
    (str (.append out \"))))

(defn full-name
  "Shows where the namespace ends, since names may have slashes of their own."
  [space local]
  (if space
    (let [space (quoted space)]
      (str (subs space 0 (dec (count space))) "\\/" (subs (quoted local) 1)))
    (quoted local)))

(declare canonical)

(defn in-order [values] (string/join " " (map canonical values)))

(defn sorted [texts] (string/join " " (sort texts)))

(defn canonical [value]
  (cond
    (nil? value) "nil"
    (boolean? value) (str value)
    (instance? Long value) (str "L" value)
    (instance? BigInt value) (str "N" value)
    (instance? Double value) (format "D%016x" (Double/doubleToLongBits value))
    (decimal? value) (let [^BigDecimal value value]
                       (str "M" (.unscaledValue value) "e" (- (long (.scale value)))))
    (ratio? value) (str "R" (numerator value) "/" (denominator value))
    (char? value) (str "C" (quoted (str value)))
    (string? value) (str "S" (quoted value))
    (instance? Keyword value) (str "K" (full-name (namespace value) (name value)))
    (instance? Symbol value) (str "Y" (full-name (namespace value) (name value)))
    (instance? Date value) (str "I" (.getTime ^Date value))
    (instance? UUID value) (let [^UUID value value]
                             (format "U%016x%016x" (.getMostSignificantBits value)
                                     (.getLeastSignificantBits value)))
    (instance? TaggedLiteral value) (str "#" (canonical (:tag value)) " " (canonical (:form value)))
    (list? value) (str "(" (in-order value) ")")
    (vector? value) (str "[" (in-order value) "]")
    (set? value) (str "#{" (sorted (map canonical value)) "}")
    (map? value) (str "{" (sorted (map (fn [[k v]] (str (canonical k) " " (canonical v))) value))
                      "}")
    :else (throw (Error. (str "a value of " (class value))))))

(defn answer [text]
  (try
    (str "+" (canonical (edn/read-string {:default tagged-literal} text)))
    (catch Exception problem (str "-" (.getMessage problem)))
    ;; What `#uuid` makes of anything but a string.
    (catch AssertionError problem (str "-" (.getMessage problem)))
    (catch Throwable problem (str "!" problem))))

(let [in (DataInputStream. (BufferedInputStream. System/in))
      out (DataOutputStream. (BufferedOutputStream. System/out 65536))
      say (fn [^String text]
            (let [bytes (.getBytes text "UTF-8")]
              (.writeInt out (alength bytes))
              (.write out bytes 0 (alength bytes)))
            ;; Whoever waits for an answer gets it; whoever sends much at once is not slowed down.
            (when (zero? (.available in))
              (.flush out)))]
  (say (clojure-version))
  (loop []
    (when-let [length (try (.readInt in) (catch EOFException _ nil))]
      (let [bytes (byte-array length)]
        (.readFully in bytes)
        (say (answer (String. bytes "UTF-8"))))
      (recur)))
  (.flush out))
