//! Under which addresses somebody is known to an instance.

use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;

use super::error::SupervisorError;
use super::handle::Supervisor;

impl Supervisor {
    /// Every address under which a chat is known: the given one, and a person's other one if WhatsApp told it. Read from
    /// what is stored; the instance need not run.
    pub async fn addresses(&self, id: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, SupervisorError> {
        Ok(self.inner().deps.engine.addresses(id, chat).await?)
    }
}
