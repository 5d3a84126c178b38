//! Every state with every input, and the page drawn from them.
#![allow(missing_docs)]

use sente_core::State;
use sente_core::state::{ClientInput, ClientPhase, LINK_STATES, LinkInput, next_client, next_link};

/// A row for each state, a column for each input in the order of `ClientInput::ALL`; "" where the
/// input has no effect.
#[test]
fn a_client_goes_where_the_table_says() {
    #[rustfmt::skip]
    let rows: [(ClientPhase, [&str; 9]); 7] = [
        //                         Connect       Connected      Disconnect  Due           Lost       Opened  Over      PeerFinished Reconnect
        (ClientPhase::Idle,        ["Connecting", "",            "",         "",           "",        "",     "",       "",          "Connecting"]),
        (ClientPhase::Connecting,  ["",           "Handshaking", "Closed",   "",           "Waiting", "",     "Closed", "",          "Connecting"]),
        (ClientPhase::Handshaking, ["",           "",            "Draining", "",           "Waiting", "Open", "Closed", "",          "Connecting"]),
        (ClientPhase::Open,        ["",           "",            "Draining", "",           "Waiting", "",     "Closed", "Draining",  "Connecting"]),
        (ClientPhase::Draining,    ["Connecting", "",            "Draining", "",           "Waiting", "",     "Closed", "",          "Connecting"]),
        (ClientPhase::Waiting,     ["Connecting", "",            "Closed",   "Connecting", "",        "",     "Closed", "",          "Connecting"]),
        (ClientPhase::Closed,      ["Connecting", "",            "",         "",           "",        "",     "",       "",          "Connecting"]),
    ];
    assert_eq!(rows.map(|(phase, _)| phase), ClientPhase::ALL);
    for (phase, expected) in rows {
        for (input, expected) in ClientInput::ALL.into_iter().zip(expected) {
            let next = next_client(phase, input).map(|next| format!("{next:?}"));
            assert_eq!(next.unwrap_or_default(), expected, "{phase:?} on {input:?}");
        }
    }
}

#[test]
fn a_link_goes_where_the_table_says() {
    #[rustfmt::skip]
    let rows: [(State, [&str; 5]); 6] = [
        //                   Accept  Drain       End       Goodbye    Handshake
        (State::Accepting,   ["Open", "",         "Closed", "Closing", ""]),
        (State::Handshaking, ["",     "",         "Closed", "Closing", "Open"]),
        (State::Open,        ["",     "Draining", "Closed", "Closing", ""]),
        (State::Draining,    ["",     "",         "Closed", "Closing", ""]),
        (State::Closing,     ["",     "",         "Closed", "",        ""]),
        (State::Closed,      ["",     "",         "",       "",        ""]),
    ];
    assert_eq!(rows.map(|(state, _)| state), LINK_STATES);
    for (state, expected) in rows {
        for (input, expected) in LinkInput::ALL.into_iter().zip(expected) {
            let next = next_link(state, input).map(|next| format!("{next:?}"));
            assert_eq!(next.unwrap_or_default(), expected, "{state:?} on {input:?}");
        }
    }
}

#[test]
fn every_client_state_can_be_reached_and_left() {
    let mut seen = vec![ClientPhase::Idle];
    let mut at = 0;
    while let Some(phase) = seen.get(at).copied() {
        at += 1;
        for input in ClientInput::ALL {
            let next = next_client(phase, input);
            seen.extend(next.filter(|next| !seen.contains(next)));
        }
        let leaves = ClientInput::ALL
            .into_iter()
            .any(|input| next_client(phase, input).is_some_and(|next| next != phase));
        assert!(leaves, "{phase:?} is a trap");
    }
    assert_eq!(seen.len(), ClientPhase::ALL.len());
}

#[test]
fn the_page_of_states_is_what_the_functions_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/states.md");
    let page = sente_tests::states::page();
    if std::env::var_os("SENTE_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page,
        "docs/states.md is stale: run this test with SENTE_WRITE_DOCS=1\n\n{page}"
    );
}
