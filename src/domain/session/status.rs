//! The states of a session, the reasons they carry, and what the owner wants.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines a fieldless enum with one spelling for JSON, SQL and people.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$inner])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands in JSON, in SQL and in documents.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads [`Self::as_str`] back.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        // Not derived: the derive does not see a word that comes out of this macro.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .enum_values(Some(Self::ALL.iter().map(|value| value.as_str())))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Where a session stands.
    Status {
        /// Nothing runs.
        Stopped = "STOPPED",
        /// A connection or a code is on its way.
        Starting = "STARTING",
        /// A code is live and waits for a phone.
        ScanQrCode = "SCAN_QR_CODE",
        /// WhatsApp asks for a passkey before it links.
        PasskeyRequired = "PASSKEY_REQUIRED",
        /// The phone asks its owner to confirm the passkey.
        PasskeyConfirmationRequired = "PASSKEY_CONFIRMATION_REQUIRED",
        /// Linked, connected, and proven alive.
        Working = "WORKING",
        /// Ended by something that time alone does not mend; the reason says what.
        Failed = "FAILED",
    }
}

words! {
    /// Why a session stands where it stands.
    Reason {
        /// WhatsApp cannot be reached.
        UpstreamUnreachable = "upstream_unreachable",
        /// Scanned; WhatsApp is still finishing.
        Pairing = "pairing",
        /// Linked, the connection is being made again.
        Reconnecting = "reconnecting",
        /// The healer starts it again.
        Recovering = "recovering",
        /// The codes ran out and nobody had asked for one lately, or all rounds were used.
        QrNotScanned = "qr_not_scanned",
        /// Started many times in a row without a code.
        Stalled = "stalled",
        /// The phone's owner removed the device.
        LoggedOut = "logged_out",
        /// WhatsApp banned the account for a time.
        Banned = "banned",
        /// WhatsApp restricted the account.
        Restricted = "restricted",
        /// Another connection took this device's place.
        Replaced = "replaced",
        /// WhatsApp no longer accepts this client version.
        ClientOutdated = "client_outdated",
        /// WhatsApp refused to link the device.
        PairingRejected = "pairing_rejected",
    }
}

words! {
    /// What the instance's owner wants.
    Desired {
        /// It should be connected, or offer a code.
        Running = "running",
        /// It should rest. Its link is kept.
        Stopped = "stopped",
    }
}
