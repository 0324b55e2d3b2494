//! Messages: what the phones of the sandbox write and read, and the post office between them and the linked devices.
//!
//! A phone is a client of the network like any other: it builds the stanzas that a client builds ([`send`]), encrypted
//! for each device in a Signal session ([`signal`]), and answers those it is sent ([`receive`]). The server's half
//! ([`route`]) reads no message. It hands every device its part, keeps what is not acknowledged ([`mailbox`]) and has a
//! media server for the encrypted files ([`media`]).
//!
//! Locks: a phone's messenger first, then the post's, then the network's; never two messengers at once.

use wacore::libsignal::protocol::SignalProtocolError;

pub(super) mod api;
mod calls;
mod content;
mod faulty;
mod groups;
mod inbox;
mod mailbox;
mod media;
mod messenger;
mod post;
mod reading;
mod receive;
mod record;
mod retry;
mod route;
mod send;
mod signal;

pub use content::Content;
pub(super) use faulty::Acknowledgement;
pub use groups::GroupView;
pub use inbox::{InboxItem, Noted, OutboxItem};
pub(super) use media::{MEDIA_LIMIT, MediaStore};
pub(super) use post::Post;
pub use reading::Said;
pub(super) use record::{GroupsRecord, MailRecord};
pub(super) use retry::key_nodes;
pub use send::SentView;
pub(super) use signal::{KeyBundle, Signal};

/// Why a phone could not do with messages what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// There is no phone of this number.
    #[error("there is no phone of this number")]
    NoPhone,
    /// The phone is offline.
    #[error("this phone is offline")]
    Offline,
    /// Nobody on this network has the recipient's number or address.
    #[error("nobody on this network has this number or address")]
    NoRecipient,
    /// The phone knows no message of this id.
    #[error("this phone knows no message of this id")]
    NoMessage,
    /// The message is no poll, or the phone cannot vote on it.
    #[error("this message is no poll that the phone could vote on")]
    NotAPoll,
    /// The poll has no such answer.
    #[error("the poll has no such answer")]
    NoSuchOption,
    /// The message has no file, or its file is gone.
    #[error("this message has no file")]
    NoFile,
    /// The file is not base64.
    #[error("data is the file in base64")]
    Data,
    /// There is no such group, or the phone is not in it.
    #[error("this phone is in no such group")]
    NoGroup,
    /// A file could not be kept.
    #[error("the file could not be kept")]
    Store(#[source] std::io::Error),
    /// The encryption failed.
    #[error("the message could not be encrypted")]
    Signal(#[from] SignalProtocolError),
}
