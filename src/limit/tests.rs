use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// A clock in the test's hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn ticks(&self) -> Ticks {
        let hand = self.clone();
        Ticks::from_fn(move || Duration::from_millis(hand.0.load(Ordering::SeqCst)))
    }

    fn advance(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

#[test]
fn the_headers_say_what_the_contract_shows() {
    let limiter = KeyedLimiter::new(Policy::per_second("qr", 1, 20), Hand::default().ticks());
    let standing = limiter.check(&"key").unwrap();
    assert_eq!(standing.policy_header(), "\"qr\";q=20;w=20");
    assert_eq!(standing.header(), "\"qr\";r=19;t=1");
}

proptest! {
    #[test]
    fn what_the_headers_promise_is_what_the_limiter_keeps(
        per_second in 1..50_u32, burst in 1..60_u32, spent in 0..60_u32, pause in 0..3_000_u64,
    ) {
        let hand = Hand::default();
        let limiter = Limiter::new(Policy::per_second("api", per_second, burst), hand.ticks());
        for _ in 0..spent.min(burst) {
            limiter.check().unwrap();
        }
        hand.advance(pause);
        if let Ok(standing) = limiter.check() {
            for left in (0..standing.remaining).rev() {
                prop_assert_eq!(limiter.check().unwrap().remaining, left);
            }
        }
        let refused = limiter.check().unwrap_err();
        prop_assert_eq!(refused.standing.remaining, 0);
        prop_assert!(refused.retry_after > Duration::ZERO);
        hand.advance(u64::try_from(refused.retry_after.as_millis()).unwrap() + 1);
        prop_assert!(limiter.check().is_ok());
    }
}

#[test]
fn one_key_is_not_limited_for_another() {
    let limiter = KeyedLimiter::new(Policy::per_second("qr", 1, 2), Hand::default().ticks());
    assert!(limiter.check(&1).is_ok() && limiter.check(&1).is_ok() && limiter.check(&1).is_err());
    assert!(limiter.check(&2).is_ok());
}

#[test]
fn buckets_that_are_full_again_are_forgotten() {
    let hand = Hand::default();
    let limiter = KeyedLimiter::new(Policy::per_second("qr", 1, 20), hand.ticks());
    for key in 0..1_000 {
        limiter.check(&key).unwrap();
    }
    hand.advance(500);
    limiter.prune();
    assert_eq!(limiter.len(), 1_000);
    hand.advance(60_000);
    limiter.prune();
    assert!(limiter.is_empty());
}

#[test]
fn a_full_table_takes_no_more_keys_but_goes_on_limiting() {
    let hand = Hand::default();
    let limiter = KeyedLimiter::with_max_keys(Policy::per_minute("auth", 2), hand.ticks(), 10);
    let passed = (0..1_000).filter(|key| limiter.check(key).is_ok()).count();
    assert_eq!((limiter.len(), passed), (10, 12), "ten buckets of their own and the shared one of two");
    hand.advance(120_000);
    assert!(limiter.check(&5_000).is_ok());
    assert_eq!(limiter.len(), 1, "what was full again has made room");
}

#[test]
fn an_ipv6_network_is_one_address_and_a_mapped_ipv4_is_itself() {
    let key = |address: &str| AddressKey::from(address.parse::<IpAddr>().unwrap());
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
}
