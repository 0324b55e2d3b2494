//! Who waits for an instance's log to grow, on this node.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::instance::InstanceId;

/// Rings when a log has grown. Cheap to clone.
///
/// It is a hint and carries no event: whoever hears it reads the log. One that another node wrote rings there, not here,
/// so a listener looks by itself now and then.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    listeners: Arc<Mutex<HashMap<InstanceId, watch::Sender<i64>>>>,
}

impl Bell {
    /// The log of `id` now ends with number `last`. To be called after the commit.
    pub fn ring(&self, id: InstanceId, last: i64) {
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
