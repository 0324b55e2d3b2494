//! From a request with a file to a message that waits to be sent: the file is looked at, encrypted as WhatsApp's servers
//! will have it, and put where the outbox finds it, before the message is accepted.

use actix_web::HttpResponse;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::{Call, FileCall};
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Content, Words};
use crate::domain::outgoing_file::{FileKind, OutgoingFile};
use crate::media::sniff::{self, Unfit};

use crate::supervisor::{SendRefusal, takes_messages};

use super::accept::{Form, refusal};
use super::source::{Source, Taken};

/// Sends a file as `kind`.
pub(super) async fn send(request: FileCall, kind: FileKind) -> Result<HttpResponse, ApiError> {
    let FileCall { call, part } = request;
    let mut read = call.read();
    let form = Form::read_with_reply(&call, &mut read);
    let chat = read.chat("chatId");
    let caption = if kind.takes_caption() { read.written("caption", Words::parse) } else { None };
    let mentions = read.mentions();
    let source = Source::read(&mut read, part);
    read.finish()?;
    let (chat, source) = chat.zip(source).expect("without them there was a problem");
    let asked = json!({ "kind": kind, "caption": caption, "mentions": mentions, "file": source.told().await? });
    let call = &call;
    let prepare = async move |id: InstanceId, message: &MessageId| {
        // Sooner said than after all the work; it is looked at again when the message is accepted.
        let view = call.state.sessions.view(id).await?;
        if !takes_messages(&view) {
            return Err(refusal(SendRefusal::NotTaken { view: Box::new(view) }, call.state.clock.now()));
        }
        let taken = source.take(call).await?;
        encrypt(call, (id, message), taken, kind).await
    };
    let content = |file, quote| Content::File { file: Box::new(file), placed: None, caption, quote, mentions };
    form.send_prepared(call, "send.file", (chat, asked), prepare, content).await
}

/// Looks at a file, and leaves its encrypted form for the outbox.
async fn encrypt(
    call: &Call,
    (id, message): (InstanceId, &MessageId),
    taken: Taken,
    kind: FileKind,
) -> Result<OutgoingFile, ApiError> {
    let Taken { file, filename, mimetype } = taken;
    let looked = file.clone();
    let looking = tokio::task::spawn_blocking(move || sniff::look(&looked, kind, mimetype.as_deref()));
    let found = looking.await.map_err(|error| ApiError::Internal(Box::new(error)))??;
    let encrypted = call.state.library.encrypt(&file, kind.media_kind()).await?;
    call.state.library.leave(id, message.as_str(), &encrypted.file).await?;
    let info = encrypted.info;
    Ok(OutgoingFile {
        kind,
        media_key: info.media_key,
        sha256: info.sha256,
        enc_sha256: info.enc_sha256,
        size: info.size,
        sidecar: info.sidecar,
        mimetype: found.mimetype,
        filename,
        dimensions: found.dimensions,
        seconds: found.seconds,
    })
}

impl From<Unfit> for ApiError {
    fn from(error: Unfit) -> Self {
        match error {
            Unfit::Io(_) => Self::Internal(Box::new(error)),
            Unfit::Kind { .. }
            | Unfit::Declared { .. }
            | Unfit::Unreadable
            | Unfit::Dimensions { .. }
            | Unfit::Empty => Self::UnfitFile { why: error.to_string() },
        }
    }
}
