;; nbb main_nbb.cljs SCENARIO URL DIALECT: runs the scenario and prints what it saw as a line of JSON.
(ns main-nbb
  (:require ["ws" :as ws]
            [nbb.core :as nbb]))

(set! (.-WebSocket js/globalThis) (or (.-WebSocket ws) (.-default ws)))

(let [[scenario url dialect] (take-last 3 (js->clj js/process.argv))]
  (-> (nbb/load-file scenario)
      (.then (fn [_] ((deref (resolve 'scenario/run)) url dialect)))
      (.then (fn [seen]
               (println (js/JSON.stringify seen))
               (js/process.exit 0)))
      (.catch (fn [error]
                (js/console.error (str error))
                (js/process.exit 1)))))
