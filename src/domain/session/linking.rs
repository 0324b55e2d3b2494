//! What lies between an unlinked device and its link: codes to scan, codes to type, and passkeys.

use std::sync::Arc;

use rand::Rng;

use crate::domain::link_code::LinkCode;
use crate::domain::passkey::PasskeyAsk;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::qr_code::QrCode;

use super::effect::Effect;
use super::rules::PASSKEY_DEADLINE;
use super::state::{Failure, Phase};
use super::step::Decision;

impl<R: Rng> Decision<'_, R> {
    /// Shows a code to scan; one that is told twice keeps the bodies that were made of it.
    pub(super) fn show(&mut self, run: u64, code: QrCode) {
        let deadline = code.expires_at + self.rules.first_code_deadline;
        let (former, typed) = match &self.state.phase {
            Phase::Scanning { qr, typed, .. } => (qr.clone(), typed.clone()),
            Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. }
            | Phase::Failed { .. } => (None, None),
        };
        let same = former.filter(|qr| qr.value == code.value && qr.expires_at == code.expires_at);
        let qr = Some(same.unwrap_or_else(|| Arc::new(code)));
        self.state.phase = Phase::Scanning { run, qr, typed, deadline };
    }

    /// No code to scan is left. One to type stays good for as long as the client stays.
    pub(super) fn codes_exhausted(&mut self, disconnected: bool) {
        if let Phase::Scanning { qr, typed: Some(typed), deadline, .. } = &mut self.state.phase
            && !disconnected
            && self.now < typed.is_over_at()
        {
            *qr = None;
            *deadline = typed.is_over_at();
        } else {
            self.round_over();
        }
    }

    /// Somebody wants to type a code. A phone has one at a time, and so has the client: another number's is gone.
    pub(super) fn request_code(&mut self, number: PhoneNumber) {
        if let Phase::Scanning { run, qr, typed, deadline } = &mut self.state.phase {
            if typed.as_ref().is_some_and(|code| code.is_for(number, self.now)) {
                return;
            }
            *typed = None;
            if qr.is_none() {
                *deadline = self.now + self.rules.first_code_deadline;
            }
            self.effects.push(Effect::RequestCode { run: *run, number });
        }
    }

    pub(super) fn link_code(&mut self, code: Arc<LinkCode>) {
        self.reached();
        if let Phase::Scanning { qr, typed, deadline, .. } = &mut self.state.phase {
            if qr.is_none() {
                *deadline = code.is_over_at();
            }
            *typed = Some(code);
        }
    }

    pub(super) fn link_code_ended(&mut self) {
        if let Phase::Scanning { qr, typed, .. } = &mut self.state.phase {
            *typed = None;
            if qr.is_none() {
                self.round_over();
            }
        }
    }

    /// WhatsApp asks something of a passkey.
    pub(super) fn passkey(&mut self, run: u64, ask: PasskeyAsk) {
        self.reached();
        let deadline = self.now + PASSKEY_DEADLINE;
        self.state.phase = Phase::Passkey { run, ask: Arc::new(ask), answered: false, deadline };
    }

    pub(super) fn answer_passkey(&mut self) {
        if let Phase::Passkey { run, answered, .. } = &mut self.state.phase
            && !std::mem::replace(answered, true)
        {
            self.effects.push(Effect::AnswerPasskey { run: *run });
        }
    }

    /// Another assertion may be handed in; a confirmation that failed takes the whole attempt with it.
    pub(super) fn passkey_refused(&mut self) {
        let Phase::Passkey { ask, answered, .. } = &mut self.state.phase else { return };
        match **ask {
            PasskeyAsk::Assertion { .. } => *answered = false,
            PasskeyAsk::Confirmation { .. } => self.unlinked(Failure::PairingRejected),
        }
    }
}
