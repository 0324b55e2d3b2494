//! Who owns an instance, remembered for a moment.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::domain::instance::InstanceId;

/// Entries at most; a full table is emptied, which costs a look-up each.
const CAPACITY: usize = 10_000;
const TIME_TO_LIVE: TimeDelta = TimeDelta::seconds(1);

/// Who holds an instance's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This node.
    Here,
    /// Another living node.
    Elsewhere {
        /// Where it serves HTTP, as `host:port`.
        addr: String,
    },
    /// Nobody: the instance rests, or its node died.
    Nobody,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Mutex<HashMap<InstanceId, (Owner, DateTime<Utc>)>>,
}

impl Cache {
    pub(super) fn get(&self, id: InstanceId, now: DateTime<Utc>) -> Option<Owner> {
        let entries = self.entries.lock();
        let (owner, at) = entries.get(&id)?;
        (now - *at < TIME_TO_LIVE && now >= *at).then(|| owner.clone())
    }

    pub(super) fn put(&self, id: InstanceId, owner: Owner, now: DateTime<Utc>) {
        let mut entries = self.entries.lock();
        if entries.len() >= CAPACITY {
            entries.clear();
            entries.shrink_to_fit();
        }
        entries.insert(id, (owner, now));
    }

    pub(super) fn forget(&self, id: InstanceId) {
        self.entries.lock().remove(&id);
    }
}
