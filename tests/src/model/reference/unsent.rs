//! What is taken out of the send queue and not written: dropped as its policy says, or given back.

use sente_core::{Dropped, PackedEvent};

use super::{Checked, Lane, Over, Side, What, breach};
use crate::model::messages::number_in;
use crate::world::Check;

impl Side {
    /// What was dropped for room, or for a newer event.
    pub(super) fn reported(&mut self, dropped: &Dropped) -> Checked {
        if dropped.count != dropped.events.len() as u64 {
            let detail = format!("{} dropped, {:?}", dropped.count, dropped.events);
            return breach(Check::EveryEventHasOneFate, detail);
        }
        for packed in &dropped.events {
            let number = number_in(packed.bytes()).unwrap_or(0);
            let known = self.going.iter().position(|going| *going == number);
            let mut waiting = self.accepted.iter();
            let queued = waiting.position(|item| item.number == number && item.may_go);
            match (known, queued) {
                (Some(at), _) => drop(self.going.remove(at)),
                (None, Some(at)) => {
                    let place = self.accepted.remove(at).map_or(0, |item| item.place);
                    self.dropped_to = self.dropped_to.max(place);
                    self.over.insert(number, Over::Dropped);
                }
                (None, None) => {
                    let detail = format!("{number} is dropped, and may not be");
                    return breach(Check::EveryEventHasOneFate, detail);
                }
            }
        }
        Ok(())
    }

    /// What comes back is the end of what was accepted, in each lane.
    pub(super) fn came_back(&mut self, events: &[PackedEvent]) -> Checked {
        for packed in events.iter().rev() {
            let number = number_in(packed.bytes()).unwrap_or(0);
            let at = self.accepted.iter().rposition(|item| item.number == number);
            let Some(item) = at.and_then(|at| self.accepted.remove(at)) else {
                let detail = format!("{number} comes back: {:?}", self.over.get(&number));
                return breach(Check::EveryEventHasOneFate, detail);
            };
            if item.may_go && item.place < self.dropped_to {
                let detail = format!("{number} was kept, and a newer one dropped for room");
                return breach(Check::DropsTakeTheOldest, detail);
            }
            if item.what != What::Event {
                let detail = format!("{number} comes back, and is {:?}", item.what);
                return breach(Check::EveryEventHasOneFate, detail);
            }
            self.calls_behind(at.unwrap_or(0), item.lane);
            let later = self.accepted.iter().skip(at.unwrap_or(0));
            // What was dropped may not have been reported yet; of replies only the caller hears.
            let mut later = later.filter(|item| !item.is_reply() && !item.may_go);
            if let Some(other) = later.find(|other| other.lane == item.lane) {
                let detail = format!("{number} comes back, and {other:?} behind it does not");
                return breach(Check::UndeliveredIsTheTail, detail);
            }
            self.over.insert(number, Over::CameBack);
            if number <= self.flushed_to {
                let detail = format!("{number} was flushed and comes back");
                return breach(Check::FlushesSettleOnce, detail);
            }
        }
        Ok(())
    }

    /// The calls behind an event that comes back never leave either; their fate is how they settle.
    fn calls_behind(&mut self, at: usize, lane: Lane) {
        let behind = self.accepted.split_off(at);
        for item in behind {
            if item.what == What::Call && item.lane == lane {
                self.over.insert(item.number, Over::CameBack);
            } else {
                self.accepted.push_back(item);
            }
        }
    }
}
