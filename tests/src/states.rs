//! The page of states: diagrams and tables drawn from the functions that decide.

use std::fmt::Write as _;

use sente_core::Role;
use sente_core::state::{
    ClientInput, ClientPhase, LINK_STATES, LinkInput, first_link_state, next_client, next_link,
};

/// What `docs/states.md` has to say.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("\n## A client that reconnects\n\n");
    diagram(
        &mut page,
        &ClientPhase::ALL,
        &ClientInput::ALL,
        &[ClientPhase::Idle],
        next_client,
    );
    table(&mut page, &ClientPhase::ALL, &ClientInput::ALL, next_client);
    page.push_str("\n## One link\n\n");
    diagram(
        &mut page,
        &LINK_STATES,
        &LinkInput::ALL,
        &[Role::Server, Role::Client].map(first_link_state),
        next_link,
    );
    table(&mut page, &LINK_STATES, &LinkInput::ALL, next_link);
    page
}

const INTRODUCTION: &str = "\
# States

Drawn from `sente_core::state` by the test `the_page_of_states_is_what_the_functions_say`; with
`SENTE_WRITE_DOCS=1` the test writes this page instead of comparing it. What each state and input
means stands with its type in the reference.
";

fn diagram<S, I>(
    page: &mut String,
    states: &[S],
    inputs: &[I],
    first: &[S],
    next: impl Fn(S, I) -> Option<S>,
) where
    S: Copy + PartialEq + std::fmt::Debug,
    I: Copy + std::fmt::Debug,
{
    page.push_str("```mermaid\nstateDiagram-v2\n");
    for state in first {
        let _ = writeln!(page, "    [*] --> {state:?}");
    }
    for from in states {
        for to in states {
            let labels: Vec<String> = inputs
                .iter()
                .filter(|input| next(*from, **input) == Some(*to))
                .map(|input| format!("{input:?}"))
                .collect();
            if !labels.is_empty() {
                let _ = writeln!(page, "    {from:?} --> {to:?}: {}", labels.join(", "));
            }
        }
    }
    page.push_str("```\n\n");
}

fn table<S, I>(page: &mut String, states: &[S], inputs: &[I], next: impl Fn(S, I) -> Option<S>)
where
    S: Copy + std::fmt::Debug,
    I: Copy + std::fmt::Debug,
{
    page.push_str("| in |");
    for input in inputs {
        let _ = write!(page, " {input:?} |");
    }
    page.push_str("\n|---|");
    for _ in inputs {
        page.push_str("---|");
    }
    page.push('\n');
    for state in states {
        let _ = write!(page, "| **{state:?}** |");
        for input in inputs {
            let _ = match next(*state, *input) {
                Some(to) => write!(page, " {to:?} |"),
                None => write!(page, " |"),
            };
        }
        page.push('\n');
    }
}
