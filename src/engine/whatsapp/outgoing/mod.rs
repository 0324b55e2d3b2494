//! What a client sends: messages, and what is said of messages.
//!
//! The library hands a message to the socket and returns; whether WhatsApp took it is told later, by an acknowledgement
//! that may also be a refusal. Here the two become one answer. Between the first byte on the wire and that answer lies
//! what nobody can know when the connection breaks: it is told as such, and never as "not sent".

mod acks;
mod file;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use wacore::types::message::AddressingMode;
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp::Message as Written;
use whatsapp_rust::send::SendOptions;
use whatsapp_rust::socket::error::{EncryptSendErrorKind, SocketError};
use whatsapp_rust::{Client, ClientError, IqError};

use crate::domain::chat_id::ChatId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Author, Failure, Message, Target, Typing};
use crate::engine::{EngineError, Outgoing, SendError, Sent};

use super::run::Run;

pub(super) use acks::{Ack, Acks};

/// What building and encrypting a message may take: WhatsApp may have to be asked for the recipient's devices and keys.
const PREPARATION: Duration = Duration::from_secs(30);

/// How long WhatsApp takes no messages to strangers, where it does not say: it is asked again by the next one.
const TIMELOCK: TimeDelta = TimeDelta::hours(6);

#[async_trait]
impl Outgoing for Run {
    async fn send(&self, id: &MessageId, message: &Message) -> Result<Sent, SendError> {
        let to = jid(&message.chat);
        let written = written(self.client(), message, self.listener().now()).await;
        let copy = Arc::new(written.clone());
        let options = SendOptions::default().with_message_id(id.as_str());
        // Asked for before the message goes: the answer may be faster than the way back from the socket.
        let ack = self.listener().acks().expect(id);
        let sending = self.client().send_message_with_options(to.clone(), written, options);
        match tokio::time::timeout(PREPARATION, sending).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(self.refused(not_sent(error))),
            Err(_) => return Err(SendError::Unknown { cause: "it was given up on its way to the socket" }),
        }
        match tokio::time::timeout(self.request_timeout(), ack.wait()).await {
            Ok(Some(Ack { error: None, at })) => {
                Ok(self.inbox.sent(self.client(), (to, id), copy, at.unwrap_or_else(|| self.listener().now())).await)
            }
            Ok(Some(Ack { error: Some(code), .. })) => {
                Err(self.refused(SendError::Refused { failure: Failure::of_code(&code), code: Some(code) }))
            }
            Ok(None) => Err(SendError::Unknown { cause: "the connection ended before WhatsApp answered" }),
            Err(_) => Err(SendError::Unknown { cause: "WhatsApp did not answer in time" }),
        }
    }

    async fn mark_seen(&self, chat: &ChatId, seen: &[Target]) -> Result<(), EngineError> {
        const ACTION: &str = "take a receipt";
        let chat_jid = jid(chat);
        // A receipt names one author; in a chat between two that goes without saying.
        let mut by_author: Vec<(Option<Jid>, Vec<&str>)> = Vec::new();
        for target in seen {
            let author = match &target.author {
                Author::Other(author) if chat.is_group() => Some(jid(author)),
                Author::Other(_) | Author::Me => None,
            };
            match by_author.iter_mut().find(|(other, _)| *other == author) {
                Some((_, ids)) => ids.push(target.id.as_str()),
                None => by_author.push((author, vec![target.id.as_str()])),
            }
        }
        for (author, ids) in by_author {
            // The library's error quotes the stanza.
            self.client().mark_as_read(&chat_jid, author.as_ref(), &ids).await.map_err(|_| gone(ACTION))?;
        }
        Ok(())
    }

    async fn show_typing(&self, chat: &ChatId, typing: Typing) -> Result<(), EngineError> {
        let (chat, client) = (jid(chat), self.client());
        let sent = match typing {
            Typing::Text => client.chatstate().send_composing(&chat).await,
            Typing::Voice => client.chatstate().send_recording(&chat).await,
            Typing::Paused => client.chatstate().send_paused(&chat).await,
        };
        sent.map_err(|_| gone("show who writes"))
    }
}

impl Run {
    /// A message that WhatsApp did not take; if that is so because it takes none to strangers, the session says it from
    /// now on.
    fn refused(&self, error: SendError) -> SendError {
        if let SendError::Refused { failure: Failure::ReachoutTimelock, .. } = error {
            let (client, listener) = (Arc::clone(self.client()), Arc::clone(&self.listener));
            let timeout = self.request_timeout();
            self.runtime.start(async move {
                let asked = tokio::time::timeout(timeout, client.mex().fetch_reachout_timelock()).await;
                let told = asked.ok().and_then(Result::ok).and_then(|lock| lock.time_enforcement_ends);
                let end = told.and_then(|seconds| DateTime::from_timestamp(seconds.parse().ok()?, 0));
                listener.reachout_timelock(end.unwrap_or_else(|| listener.now() + TIMELOCK));
            });
        }
        error
    }
}

/// A message as WhatsApp takes it.
pub(super) async fn written(client: &Client, message: &Message, now: DateTime<Utc>) -> Written {
    write::message(message, &own_address(client, &jid(&message.chat)).await, now)
}

/// This account's address in a chat: its LID among those who know each other by LIDs, else its number.
async fn own_address(client: &Client, chat: &Jid) -> String {
    let by_lid = if chat.is_group() {
        // Kept by the library, which asks for it to send to the group anyway.
        let group = client.groups().query_info(chat).await;
        group.is_ok_and(|group| group.addressing_mode == AddressingMode::Lid)
    } else {
        chat.is_lid()
    };
    let device = client.persistence_manager().get_device_snapshot();
    let own = device.lid.as_ref().filter(|_| by_lid).or(device.pn.as_ref());
    own.map(|jid| jid.to_non_ad().to_string()).unwrap_or_default()
}

/// A chat's address as the library has it.
pub(super) fn jid(chat: &ChatId) -> Jid {
    chat.jid().parse().expect("a chat's address is one of WhatsApp's")
}

fn gone(action: &'static str) -> EngineError {
    EngineError::Unreachable { action, cause: "the connection is gone".to_owned() }
}

/// The library's failure in our words. Its own may quote stanzas, which hold addresses.
fn not_sent(error: whatsapp_rust::send::SendError) -> SendError {
    use whatsapp_rust::send::SendError as Theirs;
    match error {
        Theirs::Client(error) => of_client(&error),
        Theirs::NotLoggedIn => SendError::NotSent { cause: "the device is not logged in" },
        // What is asked on the way, of devices, keys and groups, is asked before anything is sent.
        Theirs::Iq(IqError::ServerError { code, .. }) => {
            let code = code.to_string();
            SendError::Refused { failure: Failure::of_code(&code), code: Some(code) }
        }
        Theirs::Iq(_) => SendError::NotSent { cause: "a question on the way was not answered" },
        Theirs::InvalidRequest(_) => SendError::Refused { failure: Failure::Unsendable, code: None },
        // Encryption and storage, both before the wire.
        _ => SendError::NotSent { cause: "it could not be encrypted, or what that changed could not be stored" },
    }
}

fn of_client(error: &ClientError) -> SendError {
    match error {
        ClientError::NotConnected | ClientError::NotLoggedIn | ClientError::Socket(SocketError::SocketClosed) => {
            SendError::NotSent { cause: "the connection is gone" }
        }
        ClientError::Socket(SocketError::Marshal(_)) => SendError::Refused { failure: Failure::Unsendable, code: None },
        ClientError::EncryptSend(error)
            if matches!(
                error.kind,
                EncryptSendErrorKind::Crypto
                    | EncryptSendErrorKind::Framing
                    | EncryptSendErrorKind::ChannelClosed
                    | EncryptSendErrorKind::Poisoned
            ) =>
        {
            SendError::NotSent { cause: "the connection was broken already" }
        }
        // A write that failed may have been a write all the same.
        _ => SendError::Unknown { cause: "the connection broke while it was written" },
    }
}
