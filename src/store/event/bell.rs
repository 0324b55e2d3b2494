//! Who waits for an instance's log to grow, on this node; and the one that waits for any of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::domain::instance::InstanceId;

/// Rings when a log has grown. Cheap to clone.
///
/// It is a hint and carries no event: whoever hears it reads the log. One that another node wrote rings there, not here,
/// so a listener looks by itself now and then.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    listeners: Arc<Mutex<HashMap<InstanceId, watch::Sender<i64>>>>,
    grown: Arc<(Mutex<Grown>, Notify)>,
}

/// Logs that grew one by one beyond this number count as all of them.
const MOST_GROWN: usize = 1_024;

/// Which logs have grown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grown {
    /// These.
    pub ids: HashSet<InstanceId>,
    /// More than can be named.
    pub many: bool,
}

impl Grown {
    fn add(&mut self, id: InstanceId) {
        if self.many {
            return;
        }
        self.ids.insert(id);
        if self.ids.len() > MOST_GROWN {
            *self = Self { ids: HashSet::new(), many: true };
        }
    }
}

impl Bell {
    /// The log of `id` now ends with number `last`. To be called after the commit.
    pub fn ring(&self, id: InstanceId, last: i64) {
        self.grown.0.lock().add(id);
        self.grown.1.notify_one();
        let mut listeners = self.listeners.lock();
        if let Some(listener) = listeners.get(&id) {
            listener.send_if_modified(|known| {
                let grown = last > *known;
                *known = last.max(*known);
                grown
            });
            if listener.is_closed() {
                listeners.remove(&id);
            }
        }
    }

    /// The logs that somebody listens for.
    pub(super) fn awaited(&self) -> Vec<InstanceId> {
        let mut listeners = self.listeners.lock();
        listeners.retain(|_, listener| !listener.is_closed());
        listeners.keys().copied().collect()
    }

    /// Completes once any log has grown since the last call: which ones. For one listener, the node's webhooks. Nothing is
    /// lost if it is dropped before it completes.
    pub async fn any(&self) -> Grown {
        loop {
            let grown = std::mem::take(&mut *self.grown.0.lock());
            if grown != Grown::default() {
                return grown;
            }
            self.grown.1.notified().await;
        }
    }

    /// Hears every ring from now on; the value is the last number that was rung, 0 if none was.
    pub fn listen(&self, id: InstanceId) -> watch::Receiver<i64> {
        let mut listeners = self.listeners.lock();
        // A log that never grows again would keep what its last listener left behind.
        if listeners.len() >= 1_024 && listeners.len().is_power_of_two() {
            listeners.retain(|_, listener| !listener.is_closed());
        }
        listeners.entry(id).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_hears_its_own_log_grow_and_no_other() {
        let bell = Bell::default();
        let [ours, theirs] = ["7K2M9QX4T0AB", "7K2M9QX4T0AC"].map(|id| InstanceId::parse(id).unwrap());
        let mut listener = bell.listen(ours);
        bell.ring(theirs, 9);
        assert!(!listener.has_changed().unwrap());
        bell.ring(ours, 3);
        bell.ring(ours, 2);
        listener.changed().await.unwrap();
        assert_eq!(*listener.borrow_and_update(), 3);
    }

    #[tokio::test]
    async fn whoever_waits_for_any_log_hears_each_that_grew_once() {
        let bell = Bell::default();
        let [one, two] = ["7K2M9QX4T0AB", "7K2M9QX4T0AC"].map(|id| InstanceId::parse(id).unwrap());
        for (id, last) in [(one, 1), (two, 1), (one, 2)] {
            bell.ring(id, last);
        }
        assert_eq!(bell.any().await, Grown { ids: [one, two].into(), many: false });
        let waiting = bell.any();
        bell.ring(two, 2);
        assert_eq!(waiting.await.ids, [two].into());
    }

    #[tokio::test]
    async fn logs_that_nobody_asks_about_take_no_more_than_so_much_memory() {
        let bell = Bell::default();
        let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
        for _ in 0..10_000 {
            bell.ring(InstanceId::generate(&mut rng), 1);
        }
        let grown = bell.any().await;
        assert!(grown.many && grown.ids.len() <= MOST_GROWN);
    }

    #[test]
    fn only_logs_that_somebody_listens_for_are_awaited() {
        let bell = Bell::default();
        let [ours, theirs] = ["7K2M9QX4T0AB", "7K2M9QX4T0AC"].map(|id| InstanceId::parse(id).unwrap());
        let _listener = bell.listen(ours);
        drop(bell.listen(theirs));
        assert_eq!(bell.awaited(), [ours]);
    }

    #[test]
    fn nothing_is_kept_for_listeners_that_left() {
        let bell = Bell::default();
        let id = InstanceId::parse("7K2M9QX4T0AB").unwrap();
        drop(bell.listen(id));
        bell.ring(id, 1);
        assert!(bell.listeners.lock().is_empty());
    }
}
