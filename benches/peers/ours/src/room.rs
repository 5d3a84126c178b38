//! A hub with one channel that everybody is subscribed to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sente_adapters::Handle;
use sente_core::edn::Value;
use sente_core::{
    ChannelOptions, ConnId, Event, Hub, HubConfig, HubOutput, Instant, Member, Target,
};

pub(crate) struct Room(Mutex<Inside>);

struct Inside {
    hub: Hub,
    channel: Value,
    handles: HashMap<ConnId, Handle>,
}

/// Nothing here waits for a time.
const NOW: Instant = Instant::EPOCH;

impl Room {
    pub(crate) fn new() -> Self {
        let mut hub = Hub::new(HubConfig::default(), [7; 32]);
        let channel = Value::from("everybody");
        let options = ChannelOptions::default().max_subscribers(100_000);
        hub.create_channel(NOW, &channel, options)
            .expect("the first channel");
        Self(Mutex::new(Inside {
            hub,
            channel,
            handles: HashMap::new(),
        }))
    }

    pub(crate) fn join(&self, handle: &Handle) {
        let mut inside = self.lock();
        let member = Member::new(handle.packer().clone())
            .dialect(handle.dialect())
            .user(handle.id().to_string());
        let Inside { hub, channel, .. } = &mut *inside;
        hub.join(NOW, handle.id(), member).expect("room");
        hub.subscribe(NOW, handle.id(), channel).expect("room");
        inside.handles.insert(handle.id(), handle.clone());
        inside.forget_events();
    }

    pub(crate) fn leave(&self, handle: &Handle) {
        let mut inside = self.lock();
        inside.hub.leave_at_once(NOW, handle.id());
        inside.handles.remove(&handle.id());
        inside.forget_events();
    }

    /// Tells everybody. Nobody is waited for.
    pub(crate) fn tell(&self, event: &Event) {
        let mut inside = self.lock();
        let target = Target::Channel(inside.channel.clone());
        inside.hub.fan_out(NOW, &target, event).expect("it packs");
        while let Some(output) = inside.hub.poll_output() {
            let HubOutput::Deliver(delivery) = output else {
                continue;
            };
            let handles = delivery.to.iter().filter_map(|id| inside.handles.get(id));
            for handle in handles {
                // Who has no room for it misses it.
                let _ = handle.send_packed_with(&delivery.event, delivery.options.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn forget_events(&mut self) {
        while self.hub.poll_event().is_some() {}
    }
}
