//! What the application has not been told yet, besides what the present link still holds.

use alloc::collections::VecDeque;

use super::event::ClientEvent;

/// Two queues with one order: what somebody waits for can be taken ahead of the rest.
#[derive(Debug, Default)]
pub(super) struct Log {
    events: VecDeque<(u64, ClientEvent)>,
    answers: VecDeque<(u64, ClientEvent)>,
    next: u64,
    /// Ends of links and attempts that are still to be told.
    ends: usize,
}

impl Log {
    pub(super) fn push(&mut self, event: ClientEvent) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.ends = self.ends.saturating_add(usize::from(is_end(&event)));
        if is_answer(&event) {
            self.answers.push_back((number, event));
        } else {
            self.events.push_back((number, event));
        }
    }

    pub(super) fn pop(&mut self) -> Option<ClientEvent> {
        let answer_first = match (self.answers.front(), self.events.front()) {
            (Some((answer, _)), Some((event, _))) => answer < event,
            (answer, _) => answer.is_some(),
        };
        if answer_first {
            return self.pop_answer();
        }
        let (_, event) = self.events.pop_front()?;
        self.ends = self.ends.saturating_sub(usize::from(is_end(&event)));
        Some(event)
    }

    pub(super) fn pop_answer(&mut self) -> Option<ClientEvent> {
        self.answers.pop_front().map(|(_, event)| event)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.answers.is_empty()
    }

    /// How many ends of links and attempts the application has not taken.
    pub(super) const fn unread_ends(&self) -> usize {
        self.ends
    }
}

const fn is_end(event: &ClientEvent) -> bool {
    matches!(
        event,
        ClientEvent::Closed(_) | ClientEvent::ConnectFailed { .. }
    )
}

/// What `Connection::poll_answer` gives out.
const fn is_answer(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Link(event) if event.is_answer())
}
