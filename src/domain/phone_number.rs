//! A phone number as people type it, parsed once.

use std::fmt;

/// A number in its international form: 7 to 15 digits, the country code first.
///
/// It is somebody's, so it has no `Display` and its `Debug` says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhoneNumber(u64);

/// Not a phone number in its international form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoneNumber {
    /// Something else than digits, a leading `+` and the usual separators.
    #[error("may hold digits, a leading + and the separators space - . / ( )")]
    Character,
    /// Too few digits, or too many.
    #[error("must have 7 to 15 digits")]
    Length,
    /// A national form: no country code begins with a zero.
    #[error("must begin with its country code, without zeros before it")]
    National,
}

impl PhoneNumber {
    /// Reads a number as people type it: `+20 (10) 1234-5678`.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let text = text.trim();
        let text = text.strip_prefix('+').unwrap_or(text).trim_start();
        let (mut number, mut digits) = (0_u64, 0_u32);
        for character in text.chars() {
            match character.to_digit(10) {
                Some(0) if digits == 0 => return Err(InvalidPhoneNumber::National),
                // The digits that matter fit; what is longer is refused below.
                Some(digit) => {
                    number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
                    digits = digits.saturating_add(1);
                }
                None if character == '(' => {}
                // Between digits: what begins with a dash is a negative number and nobody's.
                None if digits > 0 && matches!(character, ' ' | '\u{a0}' | '-' | '.' | '/' | ')') => {}
                None => return Err(InvalidPhoneNumber::Character),
            }
        }
        if (7..=15).contains(&digits) { Ok(Self(number)) } else { Err(InvalidPhoneNumber::Length) }
    }

    /// Its digits, as WhatsApp takes them.
    pub fn digits(self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_type_it() {
        for text in [
            "201012345678",
            "+201012345678",
            " +20 (10) 1234-5678 ",
            "+ (20) 10 12345678",
            "20.10.1234/5678",
            "+20\u{a0}10 12345678",
        ] {
            assert_eq!(PhoneNumber::parse(text).map(PhoneNumber::digits), Ok("201012345678".into()), "{text}");
        }
        for shortest_and_longest in ["1234567", "123456789012345"] {
            let number = PhoneNumber::parse(shortest_and_longest).unwrap();
            assert_eq!(number.digits(), shortest_and_longest);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong() {
        use InvalidPhoneNumber::{Character, Length, National};
        for (text, wrong) in [
            ("", Length),
            ("+", Length),
            ("123456", Length),
            ("1234567890123456", Length),
            (&"9".repeat(10_000), Length),
            ("01012345678", National),
            ("0020 10 12345678", National),
            ("20101234567x", Character),
            ("++201012345678", Character),
            ("20+1012345678", Character),
            ("-201012345678", Character),
            ("201012345678@s.whatsapp.net", Character),
            ("٢٠١٠١٢٣٤٥٦٧٨", Character),
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn it_is_not_told_by_accident() {
        assert_eq!(format!("{:?}", PhoneNumber::parse("201012345678").unwrap()), "PhoneNumber([redacted])");
    }
}
