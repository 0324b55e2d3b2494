//! Votes in polls: sealed with the poll's secret, and made of hashes of its answers.

use wacore::poll::{PollVoteCiphertext, compute_option_hash};
use wacore::store::traits::MsgSecretStore as _;
use wacore::types::message::MessageInfo;
use wacore_binary::Jid;
use waproto::whatsapp::message::PollUpdateMessage;
use whatsapp_rust::Client;

use crate::store::message_reference;

use super::Inbox;

impl Inbox {
    /// The answers chosen, in words; `None` if the poll did not come in here, or the vote does not open.
    pub(super) async fn open_vote(
        &self,
        client: &Client,
        info: &MessageInfo,
        poll: &str,
        update: &PollUpdateMessage,
    ) -> Option<Vec<String>> {
        let options = {
            let mut conn = self.store.acquire().await.ok()?;
            message_reference::poll(&mut conn, &self.cipher, self.id, poll).await.ok()??
        };
        let sealed = update.vote.as_option()?;
        let sealed =
            PollVoteCiphertext { enc_payload: sealed.enc_payload.as_deref()?, enc_iv: sealed.enc_iv.as_deref()? };
        let authors = authors(client, info, update);
        let secret = self.poll_secret(client, info, &authors, poll).await?;
        for author in &authors {
            let opened = client.polls().decrypt_vote(sealed, &secret, poll, author, &info.source.sender).await;
            if let Ok(chosen) = opened {
                let is_chosen = |option: &&String| {
                    let hash = compute_option_hash(option);
                    chosen.iter().any(|chosen| chosen[..] == hash[..])
                };
                return Some(options.iter().filter(is_chosen).cloned().collect());
            }
        }
        None
    }

    /// The poll's secret, kept under one of the addresses of its chat and its author.
    async fn poll_secret(&self, client: &Client, info: &MessageInfo, authors: &[Jid], poll: &str) -> Option<Vec<u8>> {
        let mut chats = vec![info.source.chat.to_non_ad()];
        chats.extend(other_name(client, &info.source.chat).await);
        for chat in &chats {
            for author in authors {
                let names = [Some(author.clone()), other_name(client, author).await];
                for author in names.into_iter().flatten() {
                    let (chat, author) = (chat.to_non_ad_string(), author.to_non_ad_string());
                    if let Ok(Some(secret)) = self.backend.get_msg_secret(&chat, &author, poll).await {
                        return Some(secret);
                    }
                }
            }
        }
        None
    }
}

/// Who may have asked: the vote names the poll from the voter's point of view.
fn authors(client: &Client, info: &MessageInfo, update: &PollUpdateMessage) -> Vec<Jid> {
    let key = update.poll_creation_message_key.as_option();
    let source = &info.source;
    if key.and_then(|key| key.from_me) == Some(true) {
        return vec![source.sender.to_non_ad()];
    }
    if let Some(author) = key.and_then(|key| key.participant.as_ref()).and_then(|address| address.parse::<Jid>().ok()) {
        return vec![author.to_non_ad()];
    }
    if source.is_from_me {
        return vec![source.chat.to_non_ad()];
    }
    [client.pn(), client.lid()].into_iter().flatten().map(|jid| jid.to_non_ad()).collect()
}

/// The LID of a phone number, or the other way round.
async fn other_name(client: &Client, jid: &Jid) -> Option<Jid> {
    let entry = client.get_lid_pn_entry(&jid.to_non_ad()).await.ok()??;
    Some(if jid.is_lid() { Jid::pn(&*entry.phone_number) } else { Jid::lid(&*entry.lid) })
}
