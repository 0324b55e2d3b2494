//! What a decision asks of the world. The actor performs effects in their order and hands results back as events.

use crate::domain::phone_number::PhoneNumber;

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Ask the node's gate for leave to reach WhatsApp; [`super::Event::Admitted`] answers.
    Queue,
    /// Start the run of this number.
    Begin {
        /// The number given with the admission.
        run: u64,
    },
    /// End this run, and wait until it has ended.
    End {
        /// The run that is current until then.
        run: u64,
    },
    /// Ask WhatsApp for a sign of life.
    Probe {
        /// Over this run's connection.
        run: u64,
    },
    /// Ask WhatsApp to unlink the device.
    Unlink {
        /// Over this run's connection.
        run: u64,
    },
    /// Ask WhatsApp for a code to type; [`super::RunEvent::LinkCode`] answers.
    RequestCode {
        /// Over this run's connection.
        run: u64,
        /// For the phone of this number.
        number: PhoneNumber,
    },
    /// Hand in what was asked of a passkey; only a refusal is answered, by [`super::RunEvent::PasskeyRefused`].
    AnswerPasskey {
        /// Over this run's connection.
        run: u64,
    },
    /// Delete the keys; [`super::Event::Wiped`] or [`super::Event::WipeFailed`] answers.
    Wipe,
    /// Tell the node's gate how the admitted attempt went.
    Report {
        /// Whether WhatsApp answered.
        reached: bool,
    },
    /// Tell whoever waits for the unlinking how it ended.
    LogoutDone(LogoutEnd),
}

/// How an unlinking ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutEnd {
    /// The device is unlinked and its keys are deleted here.
    Unlinked {
        /// `false`: WhatsApp was never told, the phone still lists the device.
        at_whatsapp: bool,
    },
    /// WhatsApp could not be told in time; nothing changed.
    Unreachable,
}
