//! An engine that does what a test says: the supervisor's tests need hours of outage and orders of events that no
//! network gives on demand. It watches for the failure that must never be: two clients of one device at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use serde_json::Value;
use wagate::domain::chat_id::ChatId;
use wagate::domain::clock::Clock;
use wagate::domain::contact::{ChatMark, NumberCheck};
use wagate::domain::group::{Change, Changed, Group};
use wagate::domain::instance::InstanceId;
use wagate::domain::lease::Fence;
use wagate::domain::link_code::{LinkCode, VALIDITY};
use wagate::domain::media_reference::{MediaKind, MediaReference};
use wagate::domain::message_id::MessageId;
use wagate::domain::outgoing::{Message, Target, Typing};
use wagate::domain::passkey::PasskeyAnswer;
use wagate::domain::phone_number::PhoneNumber;
use wagate::domain::profile::Profile;
use wagate::domain::qr_code::QrValue;
use wagate::engine::{
    Directory, DirectoryError, DownloadError, Engine, EngineError, EngineEvent, EngineRun, EventSender, Files,
    Outgoing, RunId, RunSpec, SendError, Sent, Tagged, Uploaded,
};
use wagate::media::spool::{Arriving, Spooled};
use wagate::store::event::Incoming;

/// A WhatsApp for every node of a test.
#[derive(Clone)]
pub(crate) struct ScriptedEngine {
    world: Arc<Mutex<World>>,
    clock: Arc<dyn Clock>,
}

struct World {
    reachable: bool,
    /// The transport comes up, and then nothing comes.
    mute: bool,
    linked: BTreeSet<InstanceId>,
    /// The living clients of each device, by a number of this engine: nodes number their runs alike.
    runs: BTreeMap<InstanceId, BTreeMap<u64, (RunId, EventSender)>>,
    most_at_once: usize,
    starts: Vec<(InstanceId, DateTime<Utc>)>,
    wiped: Vec<InstanceId>,
    /// Clients, by their number, whose saver has given up.
    halted: BTreeSet<u64>,
    /// Codes to type that were given.
    codes: u64,
    /// What was handed to WhatsApp, in order.
    sent: Vec<(InstanceId, MessageId, Message)>,
    /// What becomes of the next messages; beyond these, all are acknowledged.
    answers: VecDeque<SendError>,
    next: u64,
}

pub(crate) fn profile() -> Profile {
    Profile { number: "201012345678".into(), lid: None, push_name: Some("Jane".into()) }
}

impl ScriptedEngine {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let world = World {
            reachable: true,
            mute: false,
            linked: BTreeSet::new(),
            runs: BTreeMap::new(),
            most_at_once: 0,
            starts: Vec::new(),
            wiped: Vec::new(),
            halted: BTreeSet::new(),
            codes: 0,
            sent: Vec::new(),
            answers: VecDeque::new(),
            next: 0,
        };
        Self { world: Arc::new(Mutex::new(world)), clock }
    }

    pub(crate) fn link(&self, id: InstanceId) {
        self.world.lock().linked.insert(id);
    }

    pub(crate) fn set_reachable(&self, reachable: bool) {
        self.world.lock().reachable = reachable;
    }

    /// Clients reach WhatsApp, which then tells them nothing: no code, no log-in.
    #[cfg(feature = "sandbox")]
    pub(crate) fn set_mute(&self, mute: bool) {
        self.world.lock().mute = mute;
    }

    /// Cuts every connection.
    pub(crate) async fn drop_all(&self) {
        let ids: Vec<_> = self.world.lock().runs.keys().copied().collect();
        for id in ids {
            self.tell(id, || EngineEvent::Disconnected { cause: "cut".into() }).await;
        }
    }

    /// The saver of the instance's living client gives up, as it does after repeated database errors.
    pub(crate) fn halt_saver(&self, id: InstanceId) {
        let mut world = self.world.lock();
        let numbers: Vec<u64> = world.runs.get(&id).into_iter().flat_map(BTreeMap::keys).copied().collect();
        world.halted.extend(numbers);
    }

    /// Lets the living client of an instance tell something.
    pub(crate) async fn tell(&self, id: InstanceId, event: impl Fn() -> EngineEvent) {
        let runs: Vec<_> = self.world.lock().runs.get(&id).into_iter().flat_map(BTreeMap::values).cloned().collect();
        for (run_id, sender) in runs {
            // A client that was ended meanwhile has nobody to tell.
            let _ = sender.send(Tagged { run_id, event: event() }).await;
        }
    }

    /// A phone scans the code.
    pub(crate) async fn scan(&self, id: InstanceId) {
        self.link(id);
        self.tell(id, || EngineEvent::PairSuccess { profile: profile() }).await;
        self.tell(id, || EngineEvent::Connected { profile: profile() }).await;
    }

    pub(crate) fn alive(&self, id: InstanceId) -> usize {
        self.world.lock().runs.get(&id).map_or(0, BTreeMap::len)
    }

    pub(crate) fn alive_in_all(&self) -> usize {
        self.world.lock().runs.values().map(BTreeMap::len).sum()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.world.lock().most_at_once
    }

    pub(crate) fn starts(&self, id: InstanceId) -> usize {
        self.world.lock().starts.iter().filter(|(of, _)| *of == id).count()
    }

    pub(crate) fn starts_in_all(&self) -> usize {
        self.world.lock().starts.len()
    }

    /// When clients were started, in order.
    pub(crate) fn start_times(&self) -> Vec<DateTime<Utc>> {
        self.world.lock().starts.iter().map(|(_, at)| *at).collect()
    }

    /// The next messages end like this.
    #[cfg(feature = "sandbox")]
    pub(crate) fn answer_messages(&self, answers: impl IntoIterator<Item = SendError>) {
        self.world.lock().answers.extend(answers);
    }

    /// What was handed to WhatsApp for an instance, in order.
    #[cfg(feature = "sandbox")]
    pub(crate) fn sent(&self, id: InstanceId) -> Vec<(MessageId, Message)> {
        let world = self.world.lock();
        let of = world.sent.iter().filter(|(of, ..)| *of == id);
        of.map(|(_, id, message)| (id.clone(), message.clone())).collect()
    }

    pub(crate) fn was_wiped(&self, id: InstanceId) -> bool {
        self.world.lock().wiped.contains(&id)
    }
}

struct ScriptedRun {
    engine: ScriptedEngine,
    id: InstanceId,
    run_id: RunId,
    number: u64,
}

impl std::fmt::Debug for ScriptedRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedRun").field("number", &self.number).finish_non_exhaustive()
    }
}

impl ScriptedRun {
    fn end(&self) {
        let mut world = self.engine.world.lock();
        if let Some(runs) = world.runs.get_mut(&self.id) {
            runs.remove(&self.number);
            if runs.is_empty() {
                world.runs.remove(&self.id);
            }
        }
    }

    fn asks(&self) -> Result<(), DirectoryError> {
        if self.engine.world.lock().reachable { Ok(()) } else { Err(DirectoryError::Unreachable) }
    }

    fn reach(&self, action: &'static str) -> Result<(), EngineError> {
        if self.engine.world.lock().reachable {
            Ok(())
        } else {
            Err(EngineError::Unreachable { action, cause: "cut".into() })
        }
    }
}

#[async_trait]
impl Outgoing for ScriptedRun {
    async fn send(&self, id: &MessageId, message: &Message) -> Result<Sent, SendError> {
        let mut world = self.engine.world.lock();
        if !world.reachable {
            return Err(SendError::NotSent { cause: "cut" });
        }
        world.sent.push((self.id, id.clone(), message.clone()));
        match world.answers.pop_front() {
            None => {
                let told = Incoming { key: None, drafts: Vec::new() };
                Ok(Sent { at: self.engine.clock.now(), told, kept: Vec::new(), me: Value::Null })
            }
            Some(error) => Err(error),
        }
    }

    async fn mark_seen(&self, _: &ChatId, _: &[Target]) -> Result<(), EngineError> {
        self.reach("take a receipt")
    }

    async fn show_typing(&self, _: &ChatId, _: Typing) -> Result<(), EngineError> {
        self.reach("show who writes")
    }
}

#[async_trait]
impl Directory for ScriptedRun {
    async fn check_numbers(&self, numbers: &[PhoneNumber]) -> Result<Vec<NumberCheck>, DirectoryError> {
        self.asks()?;
        Ok(numbers.iter().map(|number| NumberCheck { number: *number, person: None }).collect())
    }

    async fn profile_picture(&self, _: &ChatId) -> Result<Option<String>, DirectoryError> {
        self.asks().map(|()| None)
    }

    async fn mark_chat(&self, _: &ChatId, _: ChatMark) -> Result<(), DirectoryError> {
        self.asks()
    }

    async fn groups(&self) -> Result<Vec<Group>, DirectoryError> {
        self.asks().map(|()| Vec::new())
    }

    async fn group(&self, _: &ChatId) -> Result<Group, DirectoryError> {
        self.asks().and_then(no_group)
    }

    async fn create_group(&self, _: &str, _: &[ChatId]) -> Result<Group, DirectoryError> {
        self.asks().and_then(no_group)
    }

    async fn invite_code(&self, _: &ChatId) -> Result<String, DirectoryError> {
        self.asks().and_then(no_group)
    }

    async fn revoke_invite_code(&self, _: &ChatId) -> Result<String, DirectoryError> {
        self.asks().and_then(no_group)
    }

    async fn change_members(&self, _: &ChatId, _: Change, _: &[ChatId]) -> Result<Vec<Changed>, DirectoryError> {
        self.asks().and_then(no_group)
    }

    async fn leave_group(&self, _: &ChatId) -> Result<(), DirectoryError> {
        self.asks().and_then(no_group)
    }
}

/// There are no groups here.
fn no_group<T>(_: ()) -> Result<T, DirectoryError> {
    Err(DirectoryError::Refused { code: 404 })
}

#[async_trait]
impl Files for ScriptedRun {
    async fn download(&self, _: &MediaReference, _: Arriving) -> Result<Spooled, DownloadError> {
        self.reach("give a file")?;
        Err(DownloadError::Gone)
    }

    async fn upload(&self, _: &Spooled, _: MediaKind, _: &[u8]) -> Result<Uploaded, EngineError> {
        self.reach("take a file")?;
        Ok(Uploaded { url: "https://media.example/a".to_owned(), direct_path: "/a".to_owned() })
    }
}

#[async_trait]
impl EngineRun for ScriptedRun {
    fn run_id(&self) -> RunId {
        self.run_id
    }

    async fn shutdown(&self) {
        self.end();
    }

    async fn abort(&self) {
        self.end();
    }

    async fn logout(&self) -> Result<(), EngineError> {
        self.reach("unlink the device")?;
        self.engine.world.lock().linked.remove(&self.id);
        Ok(())
    }

    async fn probe(&self) -> Result<(), EngineError> {
        self.reach("ask for a sign of life")
    }

    async fn request_code(&self, number: PhoneNumber) -> Result<LinkCode, EngineError> {
        self.reach("give a code to type")?;
        let mut world = self.engine.world.lock();
        world.codes += 1;
        let code = format!("{:08}", world.codes);
        Ok(LinkCode::new(&code, number, self.engine.clock.now() + VALIDITY).expect("eight digits"))
    }

    async fn answer_passkey(&self, _: PasskeyAnswer) -> Result<(), EngineError> {
        self.reach("take what was asked of a passkey")
    }

    fn last_data_received(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn is_saver_halted(&self) -> bool {
        self.engine.world.lock().halted.contains(&self.number)
    }
}

#[async_trait]
impl Engine for ScriptedEngine {
    async fn start(&self, spec: RunSpec, events: EventSender) -> Result<Arc<dyn EngineRun>, EngineError> {
        let now = self.clock.now();
        let (number, first) = {
            let mut world = self.world.lock();
            world.next += 1;
            let number = world.next;
            let runs = world.runs.entry(spec.instance_id).or_default();
            runs.insert(number, (spec.run_id, events.clone()));
            let alive = runs.len();
            world.most_at_once = world.most_at_once.max(alive);
            world.starts.push((spec.instance_id, now));
            let first = if !world.reachable {
                vec![EngineEvent::ConnectFailed { cause: "cut".into() }]
            } else if world.mute {
                vec![EngineEvent::TransportUp]
            } else if world.linked.contains(&spec.instance_id) {
                vec![EngineEvent::TransportUp, EngineEvent::Connected { profile: profile() }]
            } else {
                let value = QrValue::new(format!("2@{number}"));
                let expires_at = now + TimeDelta::seconds(60);
                vec![EngineEvent::TransportUp, EngineEvent::QrCode { value, expires_at, attempt: 1 }]
            };
            (number, first)
        };
        for event in first {
            events.send(Tagged { run_id: spec.run_id, event }).await.expect("the channel has room and a reader");
        }
        Ok(Arc::new(ScriptedRun { engine: self.clone(), id: spec.instance_id, run_id: spec.run_id, number }))
    }

    async fn linked(&self, instance_id: InstanceId) -> Result<Option<Profile>, EngineError> {
        Ok(self.world.lock().linked.contains(&instance_id).then(profile))
    }

    async fn addresses(&self, _: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, EngineError> {
        Ok(vec![chat.clone()])
    }

    async fn wipe(&self, instance_id: InstanceId, _fence: Fence) -> Result<(), EngineError> {
        let mut world = self.world.lock();
        assert!(!world.runs.contains_key(&instance_id), "keys deleted under a living client");
        world.linked.remove(&instance_id);
        world.wiped.push(instance_id);
        Ok(())
    }
}
