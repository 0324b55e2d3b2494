//! The states of a session, the reasons they carry, and what the owner wants.

use crate::domain::words::words;

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
        /// Linked and connected, but WhatsApp takes no messages to people who never wrote to the account, for a time.
        ReachoutTimelock = "reachout_timelock",
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
