#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sente_fuzz::gzip(data));
