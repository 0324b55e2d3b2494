//! The code that is typed into a phone where none can be scanned.

use std::fmt;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};

use super::phone_number::PhoneNumber;

/// How long WhatsApp takes a code.
pub const VALIDITY: TimeDelta = TimeDelta::seconds(180);

/// A code typed in its last second still has the link to come.
const GRACE: TimeDelta = TimeDelta::seconds(10);

/// One live code. It links one phone's account, and whoever types it there hands that account over: its `Debug` says
/// nothing of it.
pub struct LinkCode {
    /// Eight characters, without the dash.
    code: Arc<str>,
    /// The phone it can be typed into.
    pub number: PhoneNumber,
    /// When WhatsApp no longer takes it.
    pub expires_at: DateTime<Utc>,
    /// Set once somebody was shown it.
    pub shown: OnceLock<()>,
}

impl LinkCode {
    /// Takes a code as the engine gave it; `None` if it does not have WhatsApp's form.
    pub fn new(code: &str, number: PhoneNumber, expires_at: DateTime<Utc>) -> Option<Self> {
        let is_code = code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_code.then(|| Self { code: code.into(), number, expires_at, shown: OnceLock::new() })
    }

    /// As a phone shows it: `ABCD-EFGH`.
    pub fn expose(&self) -> String {
        let (first, second) = self.code.split_at(4);
        format!("{first}-{second}")
    }

    /// Whether it can still be typed into the phone of this number.
    pub fn is_for(&self, number: PhoneNumber, now: DateTime<Utc>) -> bool {
        self.number == number && now < self.expires_at
    }

    /// When nothing can come of it any more.
    pub fn is_over_at(&self) -> DateTime<Utc> {
        self.expires_at + GRACE
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_in_two_halves_and_told_by_nobody_else() {
        let number = PhoneNumber::parse("201012345678").unwrap();
        let code = LinkCode::new("AB12CD34", number, DateTime::UNIX_EPOCH + VALIDITY).unwrap();
        assert_eq!(code.expose(), "AB12-CD34");
        assert!(code.is_for(number, DateTime::UNIX_EPOCH));
        assert!(!code.is_for(number, DateTime::UNIX_EPOCH + VALIDITY));
        assert!(!code.is_for(PhoneNumber::parse("201012345679").unwrap(), DateTime::UNIX_EPOCH));
        let told = format!("{code:?}");
        assert!(!told.contains("AB12") && !told.contains("CD34") && !told.contains("2010"), "{told}");
        for wrong in ["", "AB12CD3", "AB12-CD34", "AB12CD3é"] {
            assert!(LinkCode::new(wrong, number, DateTime::UNIX_EPOCH).is_none(), "{wrong}");
        }
    }
}
