#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sente_fuzz::edn_stream(data));
