//! Where a message stands that was accepted to be sent.

use crate::domain::receipt::Level;
use crate::domain::words::words;

words! {
    /// Where an accepted message stands.
    State {
        /// It waits for its turn, for its pace, or for the connection.
        Queued = "queued",
        /// It was handed to WhatsApp, or is being handed; no answer has come.
        Sending = "sending",
        /// WhatsApp's server has it.
        Sent = "sent",
        /// A device of the recipient has it.
        Delivered = "delivered",
        /// The recipient saw it.
        Read = "read",
        /// The connection ended before WhatsApp answered: it was sent or it was not. A late answer or a receipt settles it.
        Unknown = "unknown",
        /// It was not sent, and will not be; the failure says why.
        Failed = "failed",
    }
}

words! {
    /// Why a message was not sent.
    Failure {
        /// Its time to live was over before it could be sent.
        Expired = "expired",
        /// WhatsApp does not let this account write to people who have not written to it (463).
        ReachoutTimelock = "reachout_timelock",
        /// WhatsApp says that too much is sent (429).
        RateOverlimit = "rate_overlimit",
        /// WhatsApp does not let this account do it (401, 403).
        Forbidden = "forbidden",
        /// WhatsApp knows no such recipient (404).
        RecipientNotFound = "recipient_not_found",
        /// WhatsApp did not understand the message (400, 479).
        Malformed = "malformed",
        /// WhatsApp's server failed (500, 503).
        UpstreamError = "upstream_error",
        /// WhatsApp refused it for another reason.
        Refused = "refused",
        /// The file it was to bring is no longer here.
        FileLost = "file_lost",
        /// The message could not be built or encrypted for its recipient.
        Unsendable = "unsendable",
    }
}

impl State {
    /// The state of a message that got this far.
    pub const fn reached(level: Level) -> Self {
        match level {
            Level::Refused => Self::Failed,
            Level::Server => Self::Sent,
            Level::Delivered => Self::Delivered,
            Level::Read | Level::Played => Self::Read,
        }
    }

    /// The order in which states outdo each other: what is proven is never unproven.
    const fn rank(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::Queued | Self::Sending | Self::Unknown => 1,
            Self::Sent => 2,
            Self::Delivered => 3,
            Self::Read => 4,
        }
    }

    /// The states that proof of this one takes the place of.
    pub fn outdone(self) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |other| match self {
            // A refusal that comes late settles what nobody knew. One that is waited for tells more than this.
            Self::Failed => *other == Self::Unknown,
            Self::Queued | Self::Sending | Self::Sent | Self::Delivered | Self::Read | Self::Unknown => {
                other.rank() < self.rank()
            }
        })
    }

    /// Whether WhatsApp has the message.
    pub const fn is_acknowledged(self) -> bool {
        self.rank() >= Self::Sent.rank()
    }

    /// Whether its owner may ask for it to be sent again, under the same id.
    pub const fn may_be_retried(self) -> bool {
        match self {
            Self::Unknown | Self::Failed => true,
            Self::Queued | Self::Sending | Self::Sent | Self::Delivered | Self::Read => false,
        }
    }

    /// The state as it is told: what was handed over and not answered is as good as queued to whoever asks.
    #[must_use]
    pub const fn shown(self) -> Self {
        match self {
            Self::Sending => Self::Queued,
            Self::Queued | Self::Sent | Self::Delivered | Self::Read | Self::Unknown | Self::Failed => self,
        }
    }
}

impl Failure {
    /// What a code of WhatsApp's refusal means.
    pub fn of_code(code: &str) -> Self {
        match code {
            "463" => Self::ReachoutTimelock,
            "429" => Self::RateOverlimit,
            "401" | "403" => Self::Forbidden,
            "404" => Self::RecipientNotFound,
            "400" | "479" => Self::Malformed,
            "500" | "503" => Self::UpstreamError,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_raises_a_state_and_never_lowers_one() {
        let outdone = |level| State::reached(level).outdone().collect::<Vec<_>>();
        assert_eq!(outdone(Level::Server), [State::Queued, State::Sending, State::Unknown, State::Failed]);
        assert_eq!(outdone(Level::Delivered).len(), 5);
        assert!(!outdone(Level::Delivered).contains(&State::Read));
        assert!(outdone(Level::Played).contains(&State::Delivered) && !outdone(Level::Played).contains(&State::Read));
        assert_eq!(outdone(Level::Refused), [State::Unknown]);
        for state in State::ALL {
            assert!(
                !state.outdone().any(|other| other == *state || other.is_acknowledged() && !state.is_acknowledged())
            );
        }
    }

    #[test]
    fn every_code_of_a_refusal_has_a_meaning() {
        for (code, failure) in [
            ("463", Failure::ReachoutTimelock),
            ("429", Failure::RateOverlimit),
            ("479", Failure::Malformed),
            ("404", Failure::RecipientNotFound),
            ("999", Failure::Refused),
            ("", Failure::Refused),
        ] {
            assert_eq!(Failure::of_code(code), failure, "{code}");
        }
    }
}
