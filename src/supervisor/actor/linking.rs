//! The steps of a linking that somebody waits for: a code to type, and what was asked of a passkey.

use std::sync::Arc;

use crate::domain::link_code::LinkCode;
use crate::domain::passkey::PasskeyAnswer;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::session::{Event, RunEvent};
use crate::engine::EngineError;

use super::{Actor, Pending, when_ready};
use crate::supervisor::registry::{CodeReply, Denial, PasskeyReply};
use crate::supervisor::translate;

/// What is under way with the current run. Whoever waits learns from a dropped reply that the run has ended.
#[derive(Default)]
pub(super) struct Linking {
    /// One code is asked for at a time: a client has one.
    code: Pending<(u64, PhoneNumber, Result<LinkCode, EngineError>)>,
    code_waiters: Vec<(PhoneNumber, CodeReply)>,
    passkey: Pending<(u64, Result<(), EngineError>)>,
    passkey_waiter: Option<PasskeyReply>,
    /// Handed in, and not yet decided on.
    answer: Option<PasskeyAnswer>,
}

/// What came of it.
pub(super) enum Reached {
    Code(u64, PhoneNumber, Result<LinkCode, EngineError>),
    Passkey(u64, Result<(), EngineError>),
}

impl Linking {
    pub(super) async fn next(&mut self) -> Reached {
        tokio::select! {
            (run, number, made) = when_ready(&mut self.code) => Reached::Code(run, number, made),
            (run, taken) = when_ready(&mut self.passkey) => Reached::Passkey(run, taken),
        }
    }
}

impl Actor {
    pub(super) async fn reached(&mut self, reached: Reached) {
        match reached {
            Reached::Code(run, number, made) => self.code_made(run, number, made).await,
            Reached::Passkey(run, taken) => self.passkey_taken(run, taken).await,
        }
    }

    // A code to type.

    pub(super) async fn request_code(&mut self, number: PhoneNumber, reply: CodeReply) {
        self.linking.code_waiters.push((number, reply));
        self.next_code().await;
    }

    /// Asks for the code that has been waited for longest, unless one is on its way.
    async fn next_code(&mut self) {
        while self.linking.code.is_none()
            && let Some((number, _)) = self.linking.code_waiters.first()
        {
            let number = *number;
            self.decide(Event::RequestCode { number }).await;
            if self.linking.code.is_none() {
                let now = self.deps.clock.now();
                let code = self.view.borrow().link_code.clone().filter(|code| code.is_for(number, now));
                self.answer_code(number, &code.ok_or(Denial::NotNow));
            }
        }
    }

    pub(super) fn ask_for_code(&mut self, run: u64, number: PhoneNumber) {
        if let Some(client) = self.run.clone() {
            self.linking.code = Some(Box::pin(async move { (run, number, client.request_code(number).await) }));
        }
    }

    async fn code_made(&mut self, run: u64, number: PhoneNumber, made: Result<LinkCode, EngineError>) {
        let answer = match made {
            Ok(code) => {
                let code = Arc::new(code);
                self.decide(Event::Run { run, event: RunEvent::LinkCode(Arc::clone(&code)) }).await;
                Ok(code)
            }
            Err(error) => Err(translate::denied(self.id, &error)),
        };
        self.answer_code(number, &answer);
        self.next_code().await;
    }

    fn answer_code(&mut self, number: PhoneNumber, answer: &Result<Arc<LinkCode>, Denial>) {
        for (_, reply) in self.linking.code_waiters.extract_if(.., |(wanted, _)| *wanted == number) {
            // Whoever no longer waits may ask again.
            let _ = reply.send(answer.clone());
        }
    }

    // A passkey.

    pub(super) async fn answer_passkey(&mut self, answer: PasskeyAnswer, reply: PasskeyReply) {
        let is_asked = {
            let view = self.view.borrow();
            view.passkey.as_ref().is_some_and(|prompt| !prompt.answered && prompt.ask.takes(&answer))
        };
        if !is_asked {
            let _ = reply.send(Err(Denial::NotNow));
            return;
        }
        self.linking.answer = Some(answer);
        self.linking.passkey_waiter = Some(reply);
        self.decide(Event::AnswerPasskey).await;
    }

    pub(super) fn hand_in(&mut self, run: u64) {
        if let (Some(client), Some(answer)) = (self.run.clone(), self.linking.answer.take()) {
            self.linking.passkey = Some(Box::pin(async move { (run, client.answer_passkey(answer).await) }));
        }
    }

    async fn passkey_taken(&mut self, run: u64, taken: Result<(), EngineError>) {
        // A refusal may end the run, and whoever waits is to learn of the refusal.
        let waiter = self.linking.passkey_waiter.take();
        let answer = match taken {
            Ok(()) => Ok(self.view.borrow().clone()),
            Err(error) => {
                let denial = translate::denied(self.id, &error);
                self.decide(Event::Run { run, event: RunEvent::PasskeyRefused }).await;
                Err(denial)
            }
        };
        if let Some(reply) = waiter {
            let _ = reply.send(answer);
        }
    }
}
