;; A client of either dialect, as small as it can be, written for the tests. It runs in nbb (Node)
;; and in Scittle (a browser's page) alike: nothing here but what both interpreters have.
;;
;; (scenario/run url dialect) goes through one session with the echo server of the tests and gives a
;; promise of what it saw, as a JavaScript object.
(ns scenario
  (:require [clojure.edn :as edn]))

(defn- read-frame [text]
  (edn/read-string text))

;; One connection: what came and nobody took yet, and who waits for the next.
(defn- connect [url]
  (js/Promise.
   (fn [resolve reject]
     (let [socket (js/WebSocket. url)
           link {:socket socket :came (atom []) :waits (atom [])}]
       (set! (.-onopen socket) (fn [_] (resolve link)))
       (set! (.-onerror socket) (fn [_] (reject (js/Error. "the socket failed"))))
       (set! (.-onmessage socket)
             (fn [event]
               (let [frame (read-frame (.-data event))]
                 (if-let [waiting (first @(:waits link))]
                   (do (swap! (:waits link) subvec 1)
                       (waiting frame))
                   (swap! (:came link) conj frame)))))
       (set! (.-onclose socket)
             (fn [_]
               (doseq [waiting @(:waits link)] (waiting :closed))
               (reset! (:waits link) [])
               (swap! (:came link) conj :closed)))))))

(defn- hear [link]
  (js/Promise.
   (fn [resolve _]
     (if-let [frame (first @(:came link))]
       (do (swap! (:came link) subvec 1)
           (resolve frame))
       (swap! (:waits link) conj resolve)))))

(defn- say [link value]
  (.send (:socket link) (pr-str value)))

(defn- later [ms]
  (js/Promise. (fn [resolve _] (js/setTimeout resolve ms))))

;; Tries until the server is there again.
(defn- connect-again [url tries]
  (-> (connect url)
      (.catch (fn [error]
                (if (pos? tries)
                  (.then (later 100) (fn [_] (connect-again url (dec tries))))
                  (throw error))))))

;; How each dialect says an event, and what the server's frames mean in it.
(def sente
  {:handshake (fn [[[id [uid]] _]] (when (= id :chsk/handshake) uid))
   :event (fn [event] [event nil])
   :call (fn [event id] [event id])
   :reply (fn [[data id]] [id data])
   :events (fn [[events _]] events)})

(def sente-lite
  {:handshake (fn [[id [uid]]] (when (= id :chsk/handshake) uid))
   :event identity
   :call (fn [event id] [event id])
   :reply (fn [[id {:keys [cb-uuid data]}]] (when (= id :chsk/reply) [cb-uuid data]))
   :events (fn [event] [event])})

(def value
  {:n 1
   :text "grüße 🙂"
   :nested [[] {} #{} '(1 2) {:a/b [nil true 1.5]}]
   :when #inst "2026-01-02T03:04:05.678-00:00"
   :id #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"})

(def channel [:room #{1 "two"}])

;; Says something over a connection of its own, and leaves when it was heard.
(defn- publish [url saying]
  (-> (connect url)
      (.then (fn [other]
               (-> (hear other)
                   (.then (fn [_]
                            (saying other)
                            (.close (:socket other) 1000))))))))

(defn run [url dialect]
  (let [{:keys [handshake event call reply events]} (if (= dialect "sente") sente sente-lite)
        seen (atom {})
        note (fn [k v] (swap! seen assoc k v))
        large (apply str (repeat 1000000 "x"))
        link (atom nil)
        hear-it (fn [] (hear @link))
        say-it (fn [value] (say @link value))]
    (-> (connect url)
        (.then (fn [opened] (reset! link opened) (hear-it)))
        (.then (fn [frame]
                 (note :uid (handshake frame))
                 (say-it (event [:test/push value]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :pushed (= [[:test/push value]] (vec (events frame))))
                 (say-it (call [:test/echo value] "abc123"))
                 (hear-it)))
        (.then (fn [frame]
                 (note :replied (= ["abc123" value] (reply frame)))
                 (say-it (event [:test/push large]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :large (count (second (first (events frame)))))
                 (say-it (event [:sente-lite/subscribe {:channel-id channel}]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :subscribed (= [[:sente-lite/subscribed {:channel-id channel :success true}]]
                                      (vec (events frame))))
                 (publish url (fn [other]
                                (say other (event [:sente-lite/publish {:channel-id channel
                                                                        :data value}]))))
                 (hear-it)))
        (.then (fn [frame]
                 (let [[id {:keys [channel-id data from]}] (first (events frame))]
                   (note :published (= [:sente-lite/channel-msg channel value] [id channel-id data]))
                   (note :from (string? from)))
                 (say-it (event [:sente-lite/unsubscribe {:channel-id channel}]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :unsubscribed (= {:channel-id channel :success true}
                                        (second (first (events frame)))))
                 ;; Nothing of this comes, or it would be taken for the push behind it.
                 (say-it (event [:sente-lite/publish {:channel-id channel :data 1}]))
                 (say-it (event [:test/push :behind]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :left (= [[:test/push :behind]] (vec (events frame))))
                 ;; The server stops listening, cuts this connection, and comes back.
                 (say-it (event [:test/restart]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :cut (= :closed frame))
                 (connect-again url 100)))
        (.then (fn [opened] (reset! link opened) (hear-it)))
        (.then (fn [frame]
                 (note :uid-again (handshake frame))
                 (say-it (event [:test/push :back]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :pushed-again (= [[:test/push :back]] (vec (events frame))))
                 ;; Nobody is subscribed to anything any more.
                 (say-it (event [:sente-lite/subscribe {:channel-id channel}]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :subscribed-again (= {:channel-id channel :success true}
                                            (second (first (events frame)))))
                 (say-it (event [:sente-lite/publish {:channel-id channel :data large}]))
                 (hear-it)))
        (.then (fn [frame]
                 (note :large-published (count (:data (second (first (events frame))))))
                 (.close (:socket @link) 1000)
                 (hear-it)))
        (.then (fn [frame]
                 (note :closed (= :closed frame))
                 (clj->js @seen))))))
