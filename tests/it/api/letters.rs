//! Scripted sessions send: what is linked and connected takes a message and has it acknowledged at once.

use chrono::TimeDelta;
use wagate::api::sessions::Sending;
use wagate::domain::chat_id::ChatId;
use wagate::domain::instance::InstanceId;
use wagate::domain::message_id::MessageId;
use wagate::domain::outgoing::{Over, Pace, State, Target, Typing};
use wagate::domain::session::Status;
use wagate::store::outbound::{Outbound, Times};
use wagate::supervisor::{Kept, Letter, PaceView, SendRefusal, SupervisorError, takes_messages};

use super::script::Script;

impl Script {
    fn state_of_sending(&self, id: InstanceId) -> Result<State, SendRefusal> {
        let views = self.views.lock();
        let view = views.get(&id).ok_or(SupervisorError::NotFound)?;
        if !takes_messages(view) {
            return Err(SendRefusal::NotTaken { view: Box::new(view.clone()) });
        }
        Ok(if view.status == Status::Working { State::Sent } else { State::Queued })
    }

    fn connected(&self, id: InstanceId) -> Result<(), SendRefusal> {
        let views = self.views.lock();
        let view = views.get(&id).ok_or(SupervisorError::NotFound)?;
        let connected = view.status == Status::Working;
        if connected { Ok(()) } else { Err(SendRefusal::NotTaken { view: Box::new(view.clone()) }) }
    }
}

#[async_trait::async_trait]
impl Sending for Script {
    async fn send(&self, id: InstanceId, letter: Letter, _: Option<Kept<'_>>) -> Result<Outbound, SendRefusal> {
        let (state, now) = (self.state_of_sending(id)?, *self.now.lock());
        let times = Times { created_at: now, due_at: now, expires_at: now + letter.ttl };
        let Letter { id, message, .. } = letter;
        let sent = Outbound { id, message, state, failure: None, times, changed_at: now };
        self.letters.lock().push(sent.clone());
        Ok(sent)
    }

    async fn retry(&self, id: InstanceId, message: &MessageId, _: TimeDelta) -> Result<Outbound, SendRefusal> {
        self.state_of_sending(id)?;
        let state = self.message(id, message).await?.state;
        Err(SendRefusal::NotRetriable { state })
    }

    async fn message(&self, _: InstanceId, message: &MessageId) -> Result<Outbound, SendRefusal> {
        let letters = self.letters.lock();
        letters.iter().find(|letter| letter.id == *message).cloned().ok_or(SendRefusal::NotFound)
    }

    async fn mark_seen(&self, id: InstanceId, _: &ChatId, _: &[Target]) -> Result<(), SendRefusal> {
        self.connected(id)
    }

    async fn show_typing(&self, id: InstanceId, _: &ChatId, _: Typing) -> Result<(), SendRefusal> {
        self.connected(id)
    }

    async fn pace(&self, _: InstanceId) -> Result<PaceView, SendRefusal> {
        let pace = *self.pace.lock();
        let pace =
            pace.unwrap_or(Pace { per_minute: 60, per_day: 10_000, pause: TimeDelta::zero(), over: Over::Queue });
        Ok(PaceView { pace, today: 0 })
    }

    async fn set_pace(&self, id: InstanceId, pace: Pace) -> Result<PaceView, SendRefusal> {
        *self.pace.lock() = Some(pace);
        self.pace(id).await
    }
}
