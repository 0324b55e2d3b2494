//! The actors of this node, by instance.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::domain::link_code::LinkCode;
use crate::domain::passkey::PasskeyAnswer;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::session::{Desired, Event, LogoutEnd, SessionView, Status};
use crate::engine::EngineRun;

use super::error::SupervisorError;
use super::mail::Mail;

/// What may be asked of an actor. A reply that is dropped means that the actor left without looking at it.
pub(super) enum Command {
    /// An event from outside; answered with the session as it stands after it.
    Wish { event: Event, reply: oneshot::Sender<Result<SessionView, SupervisorError>> },
    /// A code to type into the phone of this number; answered when there is one, or none comes.
    RequestCode { number: PhoneNumber, reply: CodeReply },
    /// What WhatsApp asked of a passkey; answered when WhatsApp has taken it, or not.
    AnswerPasskey { answer: PasskeyAnswer, reply: PasskeyReply },
    /// The connected client, for whoever has something to ask or to send; otherwise how the session stands.
    Client { reply: ClientReply },
    /// Unlink; answered when that ended.
    Logout { force: bool, reply: oneshot::Sender<(LogoutEnd, SessionView)> },
    /// Erase the instance from the database and leave.
    Erase { reply: oneshot::Sender<Result<(), SupervisorError>> },
}

/// Hears of the connected client.
pub(super) type ClientReply = oneshot::Sender<Result<Arc<dyn EngineRun>, Box<SessionView>>>;

/// Hears of a code to type.
pub(super) type CodeReply = oneshot::Sender<Result<Arc<LinkCode>, Denial>>;

/// Hears how the session stands after WhatsApp took what was handed in.
pub(super) type PasskeyReply = oneshot::Sender<Result<SessionView, Denial>>;

/// Why a step of the linking was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// The session does not stand where it can be.
    NotNow,
    /// WhatsApp refused it.
    Refused,
    /// WhatsApp did not answer.
    Unreachable,
}

/// The door to one actor.
#[derive(Debug)]
pub(super) struct Door {
    /// Bounded; whoever asks more waits.
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) view: watch::Receiver<SessionView>,
    /// Fires when the actor has left and its lease is released.
    pub(super) gone: CancellationToken,
    /// The lease that the actor writes under, for whoever writes beside it.
    pub(super) fence: Fence,
    /// What is shared with the instance's outbox.
    pub(super) mail: Arc<Mail>,
    /// When somebody last asked for a code, in Unix milliseconds: written on every poll, without waking the actor.
    asked_at_ms: AtomicI64,
}

impl Door {
    pub(super) fn new(commands: mpsc::Sender<Command>, view: watch::Receiver<SessionView>, fence: Fence) -> Self {
        let (gone, mail) = (CancellationToken::new(), Arc::default());
        Self { commands, view, gone, fence, mail, asked_at_ms: AtomicI64::new(0) }
    }

    pub(super) fn note_demand(&self, now: DateTime<Utc>) {
        self.asked_at_ms.store(now.timestamp_millis(), Ordering::Relaxed);
    }

    pub(super) fn asked_at(&self) -> Option<DateTime<Utc>> {
        match self.asked_at_ms.load(Ordering::Relaxed) {
            0 => None,
            at => DateTime::from_timestamp_millis(at),
        }
    }
}

/// All doors.
#[derive(Debug, Default)]
pub(super) struct Registry {
    doors: RwLock<HashMap<InstanceId, Arc<Door>>>,
    entered: Notify,
    left: Notify,
}

impl Registry {
    pub(super) fn get(&self, id: InstanceId) -> Option<Arc<Door>> {
        self.doors.read().get(&id).map(Arc::clone)
    }

    pub(super) fn contains(&self, id: InstanceId) -> bool {
        self.doors.read().contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.doors.read().len()
    }

    /// How many doors satisfy `condition`.
    pub(super) fn count(&self, condition: impl Fn(&Door) -> bool) -> usize {
        self.doors.read().values().filter(|door| condition(door)).count()
    }

    /// How many doors show each status, and how many are meant to run: one look at each.
    pub(super) fn census(&self) -> (Vec<(Status, usize)>, usize) {
        let mut by_status: Vec<(Status, usize)> = Status::ALL.iter().map(|status| (*status, 0)).collect();
        let mut desired = 0;
        for door in self.doors.read().values() {
            let view = door.view.borrow();
            desired += usize::from(view.desired == Desired::Running);
            for (status, count) in &mut by_status {
                *count += usize::from(*status == view.status);
            }
        }
        (by_status, desired)
    }

    pub(super) fn insert(&self, id: InstanceId, door: Arc<Door>) {
        self.doors.write().insert(id, door);
        self.entered.notify_waiters();
    }

    /// Completes when the instance has an actor here.
    pub(super) async fn entered(&self, id: InstanceId) -> Arc<Door> {
        loop {
            let entered = self.entered.notified();
            if let Some(door) = self.get(id) {
                return door;
            }
            entered.await;
        }
    }

    /// Completes when no actor is left.
    pub(super) async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            if self.doors.read().is_empty() {
                return;
            }
            left.await;
        }
    }

    fn remove(&self, id: InstanceId, door: &Arc<Door>) {
        let mut doors = self.doors.write();
        if doors.get(&id).is_some_and(|there| Arc::ptr_eq(there, door)) {
            doors.remove(&id);
            // A registry that once held thousands gives the room back, in large steps.
            if doors.capacity() > 1024 && doors.len() < doors.capacity() / 4 {
                doors.shrink_to_fit();
            }
        }
        drop(doors);
        self.left.notify_waiters();
    }
}

/// Takes an actor's door out of the registry when the actor ends, however it ends.
pub(super) struct Departure {
    pub(super) registry: Arc<Registry>,
    pub(super) id: InstanceId,
    pub(super) door: Arc<Door>,
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.registry.remove(self.id, &self.door);
        self.door.gone.cancel();
    }
}
