#![allow(missing_docs)]
use base64::Engine as _;
use bytes::Bytes;
use sente_core::Limits;
use sente_core::packer::{MsgPack, Packer};
use sente_edn::{Dialect, Value};

fn edn(text: &str) -> Option<Value> {
    let limits = sente_edn::Limits::default().dialect(Dialect::Either);
    sente_edn::from_slice_with(text.as_bytes(), &limits).ok()
}
fn b64(t: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(t).unwrap()
}
fn hex(b: &[u8]) -> String {
    b.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn all() {
    let rows = sente_tests::vectors::load("sente/packer-msgpack.json");
    let p = MsgPack::new();
    for row in rows.as_array().unwrap() {
        if row["wrapped"] != true {
            continue;
        }
        let d = row["description"].as_str().unwrap();
        let input = row["input_edn"].as_str().unwrap();
        let iv = edn(input);
        let Some(payload) = row["payload_b64"].as_str() else {
            match iv {
                None => println!("{d}: unreadable input"),
                Some(v) => println!("{d}: {:?}", {
                    let mut o = vec![];
                    p.pack_message(&v, &mut o).map(|()| hex(&o))
                }),
            }
            continue;
        };
        let payload = b64(payload);
        let ours = p
            .unpack_message(&Bytes::from(payload.clone()), &Limits::default())
            .unwrap();
        let theirs = edn(&row["unpacked_edn"]
            .as_str()
            .unwrap()
            .replace("#java.time.Instant", "#inst"));
        match theirs {
            None => println!("{d}: {} unreadable; ours {ours}", row["unpacked_edn"]),
            Some(t) => {
                if !t.identical(&ours) {
                    println!("{d}: {t} / {ours}")
                }
            }
        }
        let mut o = vec![];
        p.pack_message(&ours, &mut o).unwrap();
        if o != payload {
            println!(
                "{d}: BYTES {} {}",
                &hex(&payload)[..50.min(payload.len() * 2)],
                &hex(&o)[..50.min(o.len() * 2)]
            )
        }
        if let Some(iv) = iv {
            let mut o = vec![];
            match p.pack_message(&iv, &mut o) {
                Ok(()) => {
                    if o != payload {
                        println!(
                            "{d}: INPUT BYTES {} {}",
                            &hex(&payload)[..50.min(payload.len() * 2)],
                            &hex(&o)[..50.min(o.len() * 2)]
                        )
                    }
                }
                Err(e) => println!("{d}: INPUT {e}"),
            }
        }
    }
    let rows = sente_tests::vectors::load("sente/unpack-msgpack.json");
    for row in rows.as_array().unwrap() {
        let d = row["description"].as_str().unwrap();
        let h = row["hex"].as_str().unwrap();
        let b: Vec<u8> = (0..h.len() / 2)
            .map(|i| u8::from_str_radix(&h[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let ours = p.unpack_message(&Bytes::from(b.clone()), &Limits::default());
        match (row["unpacked_edn"].as_str(), ours) {
            (None, Err(_)) => {}
            (None, Ok(v)) => println!("U {d}: {v} but error {}", row["unpack_error"]),
            (Some(t), Err(e)) => println!("U {d}: {t} but we {e}"),
            (Some(t), Ok(v)) => match edn(&t.replace("#java.time.Instant", "#inst")) {
                None => println!("U {d}: {t} unreadable, ours {v}"),
                Some(t) => {
                    if !t.identical(&v) {
                        println!("U {d}: {t} ours {v}")
                    }
                }
            },
        }
    }
}
