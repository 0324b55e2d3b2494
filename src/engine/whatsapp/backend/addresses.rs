//! A person's other address, read without a run.

use sqlx::PgConnection;
use wacore::store::traits::LidPnMappingEntry;

use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::store::engine_state::{self, Kind};
use crate::store::vault::InstanceCipher;

use super::{BackendError, TABLE, from_json, named, plain, row_name};

/// The LID of a phone number, or the phone number of a LID; `None` if WhatsApp did not tell it.
pub(in crate::engine::whatsapp) async fn other(
    conn: &mut PgConnection,
    id: InstanceId,
    cipher: &InstanceCipher,
    chat: &ChatId,
) -> Result<Option<ChatId>, BackendError> {
    let lid = match chat {
        ChatId::Group(_) => return Ok(None),
        ChatId::Lid(lid) => lid.clone(),
        ChatId::Number(number) => match read(conn, id, cipher, Kind::PhoneMapping, number).await? {
            Some(lid) => {
                let lid = String::from_utf8(lid).map_err(|error| BackendError::Malformed(Box::new(error)))?;
                return Ok(ChatId::parse(&format!("{lid}@lid")).ok());
            }
            None => return Ok(None),
        },
    };
    let Some(entry) = read(conn, id, cipher, Kind::LidMapping, &lid).await? else { return Ok(None) };
    let entry: LidPnMappingEntry = from_json(&entry)?;
    Ok(ChatId::parse(&entry.phone_number).ok())
}

async fn read(
    conn: &mut PgConnection,
    id: InstanceId,
    cipher: &InstanceCipher,
    kind: Kind,
    name: &str,
) -> Result<Option<Vec<u8>>, BackendError> {
    let key = named(cipher, kind, name);
    let Some(row) = engine_state::get(conn, id, plain(kind, &key)).await? else { return Ok(None) };
    Ok(Some(cipher.open(TABLE, &row_name(kind, &row.scope, &row.key), &row.value)?))
}
