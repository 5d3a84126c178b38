//! The page of options says what the defaults are.
#![allow(missing_docs)]

use sente_tests::options::page;

#[test]
fn the_page_of_options_is_what_the_defaults_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/options.md");
    let page = page();
    if std::env::var_os("SENTE_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page,
        "docs/options.md is stale: run this test with SENTE_WRITE_DOCS=1\n\n{page}"
    );
}

/// Every option that Sente's own documentation of 1.22 lists.
#[test]
fn every_option_of_sente_is_there_or_declined_by_name() {
    let page = page();
    for option in [
        // The server's.
        ":recv-buf-or-n",
        ":ws-kalive-ms",
        ":ws-ping-timeout-ms",
        ":lp-timeout-ms",
        ":send-buf-ms-ws",
        ":send-buf-ms-ajax",
        ":user-id-fn",
        ":csrf-token-fn",
        ":bad-csrf-fn",
        ":bad-origin-fn",
        ":unauthorized-fn",
        ":allowed-origins",
        ":authorized?-fn",
        ":?unauthorized-fn",
        ":reject-fn",
        ":handshake-data-fn",
        ":packer",
        ":ms-allow-reconnect-before-close-ws",
        ":ms-allow-reconnect-before-close-ajax",
        // The client's.
        ":type",
        ":protocol",
        ":host",
        ":port",
        ":params",
        ":headers",
        ":client-id",
        ":client-uuid",
        ":wrap-recv-evs?",
        ":ws-kalive-ping-timeout-ms",
        ":backoff-ms-fn",
        ":ws-constructor",
        ":ws-opts",
        ":ajax-opts",
        ":chsk-url-fn",
    ] {
        assert!(page.contains(&format!("`{option}`")), "{option}");
    }
}
