//! The 87 exchanges recorded with the real Sente server, asked of ours, and its refusals of WebSocket
//! upgrades. Where ours answers otherwise, the difference stands in a table with its reason.
#![allow(missing_docs)]

mod ajax_support;

use std::collections::BTreeMap;
use std::time::Duration;

use ajax_support::endpoint::{Asked, Endpoint};
use ajax_support::millis;
use ajax_support::recorded::{
    admission, assert_all_listed, compare, config, packer, request, steps,
};
use sente_core::Instant;
use sente_core::admission::Request;
use sente_edn::Value;
use sente_tests::vectors::{field, load};
use serde_json::Value as Json;

#[test]
fn every_recorded_exchange_is_answered_as_recorded_or_as_the_table_of_differences_says() {
    let file = load("sente/ajax-all.json");
    let rows = file.as_array().unwrap();
    assert_eq!(rows.len(), 87);
    let mut by_server: BTreeMap<i64, Vec<&Json>> = BTreeMap::new();
    for row in rows {
        let port = row["server_port"].as_i64().unwrap();
        by_server.entry(port).or_default().push(row);
    }
    let mut replayed = 0;
    let mut differed = Vec::new();
    for (port, rows) in by_server {
        let packer = packer(field(rows[0], "packer").unwrap());
        let config = config(port, packer.clone(), Duration::from_millis(1_500));
        let mut server = Endpoint::new(admission(port), config.build().unwrap());
        let mut now = millis(1);
        let mut asked: Vec<(usize, Instant, Asked)> = Vec::new();
        for step in steps(&rows) {
            for at in step {
                now = now + Duration::from_millis(1);
                if field(rows[at], "description")
                    .unwrap()
                    .starts_with("re-poll 0.5s later")
                {
                    now = now + Duration::from_millis(500);
                }
                asked.push((at, now, server.ask(now, request(rows[at]))));
            }
            for (_, _, open) in &asked {
                while server.answer(open).is_none() {
                    now = server.next().unwrap();
                    server.advance(now);
                }
            }
        }
        for (at, since, asked) in asked {
            let (when, ours) = server.answer(&asked).unwrap();
            compare(rows[at], &*packer, (ours.status, &ours.body), &mut differed);
            // Ours is never slower, but for the time that passes between the rows of this test.
            let took = when.saturating_duration_since(since);
            let took = u64::try_from(took.as_millis()).unwrap();
            let theirs = rows[at]["response"]["ms"].as_u64().unwrap();
            assert!(took <= theirs + 5, "{}: {took} ms", rows[at]);
            replayed += 1;
        }
    }
    assert_eq!(replayed, 87);
    assert_all_listed(differed);
}

#[test]
fn every_recorded_refusal_of_an_upgrade_is_ours_too() {
    let file = load("sente/ws-raw-server-behaviour.json");
    let rows = file.as_array().unwrap().iter();
    let rows = rows.filter(|row| row.get("upgrade_status").is_some());
    let mut replayed = 0;
    for row in rows {
        let description = field(row, "description").unwrap();
        let mut target = String::from("/chsk?");
        for (name, value) in row["query"].as_object().unwrap() {
            let value: String = value
                .as_str()
                .unwrap()
                .bytes()
                .map(|b| format!("%{b:02X}"))
                .collect();
            target += &format!("{name}={value}&");
        }
        let mut request = Request::new("GET", &target);
        for (name, value) in row["headers"].as_object().unwrap() {
            request = request.with_header(name, value.as_str().unwrap());
        }
        let port = row["server_port"].as_i64().unwrap();
        let status = row["upgrade_status"].as_u64().unwrap();
        match admission(port).admit(request) {
            Ok(admitted) => {
                assert_eq!(status, 101, "{description}");
                assert_eq!(admitted.handshake().uid, Value::from("c"));
            }
            // The client's mistake is no 500.
            Err(refusal) if status == 500 => {
                assert_eq!(description, "WS upgrade: no client-id");
                assert_eq!(refusal.status, 400);
            }
            Err(refusal) => {
                assert_eq!(u64::from(refusal.status), status, "{description}");
                assert_eq!(refusal.body, field(row, "upgrade_body").unwrap());
                let theirs = row["upgrade_headers"].as_array().unwrap();
                for (name, value) in &refusal.headers {
                    let header = serde_json::json!([name, value]);
                    assert!(theirs.contains(&header), "{description}: {name}");
                }
            }
        }
        replayed += 1;
    }
    assert_eq!(replayed, 8);
}
