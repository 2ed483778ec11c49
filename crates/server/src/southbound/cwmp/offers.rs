//! Which challenge an address is offered. A request without credentials does not say whose it is, so
//! what a device can answer is learned from where it comes from: one that does not answer what it is
//! offered gets MD5 alone the next time, and one that a quirk pack knows what it can answer. Anybody at
//! an address can leave challenges unanswered, so that this takes it to nothing weaker; what is weaker
//! (Digest without `qop`, Basic alone) is only offered where a device came from that a pack names. Kept
//! on this node and for a time only: without it a device needs a few tries more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::conversation::quirks::Challenge;
use super::limits::{OFFER_LIFE, OFFERS_MAX, UNANSWERED_MAX};

/// What addresses are offered, where that is not everything.
#[derive(Default)]
pub struct Offers(Mutex<HashMap<IpAddr, Offer>>);

struct Offer {
    /// What a device that came from there answers, as a pack knows.
    known: Option<Challenge>,
    /// Where it stands in the row of what there is to offer.
    step: usize,
    /// Challenges in a row that nobody has answered.
    unanswered: u8,
    /// When it came to this step. What comes since does not make it live longer.
    at: Instant,
}

/// What is offered one after the other to who does not answer; `None` is all that there is.
const ROW: [Option<Challenge>; 2] = [None, Some(Challenge::Md5)];

impl Offer {
    /// What is known comes first, and is tried once in each round: others may come from there, too.
    fn only(&self) -> Option<Challenge> {
        match (self.known, self.step) {
            (Some(known), 0) => Some(known),
            (Some(_), step) => ROW[(step - 1) % ROW.len()],
            (None, step) => ROW[step % ROW.len()],
        }
    }

    fn next(&mut self, now: Instant) {
        let all = ROW.len() + usize::from(self.known.is_some());
        self.step = (self.step + 1) % all;
        (self.unanswered, self.at) = (1, now);
    }

    /// As anybody is met.
    fn is_plain(&self) -> bool {
        self.known.is_none() && self.step == 0
    }
}

impl Offers {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Offer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has to be challenged, who has shown something or nothing: with what.
    pub fn challenge(&self, ip: IpAddr, has_answered: bool, now: Instant) -> Option<Challenge> {
        let mut offers = self.lock();
        if let Some(offer) = offers.get_mut(&ip) {
            if now.saturating_duration_since(offer.at) <= OFFER_LIFE {
                if !has_answered {
                    offer.unanswered = offer.unanswered.saturating_add(1);
                    if offer.unanswered > UNANSWERED_MAX {
                        offer.next(now);
                    }
                }
                return offer.only();
            }
            offers.remove(&ip);
        }
        if !has_answered {
            put(&mut offers, ip, None, 1, now);
        }
        None
    }

    /// Somebody has answered: what was offered is understood.
    pub fn answered(&self, ip: IpAddr) {
        let mut offers = self.lock();
        let Some(offer) = offers.get_mut(&ip) else {
            return;
        };
        offer.unanswered = 0;
        if offer.is_plain() {
            offers.remove(&ip);
        }
    }

    /// A device has come in from there that answers only this.
    pub fn learned(&self, ip: IpAddr, only: Challenge, now: Instant) {
        put(&mut self.lock(), ip, Some(only), 0, now);
    }
}

fn put(
    offers: &mut HashMap<IpAddr, Offer>,
    ip: IpAddr,
    known: Option<Challenge>,
    unanswered: u8,
    at: Instant,
) {
    if offers.len() >= OFFERS_MAX && !offers.contains_key(&ip) {
        offers.retain(|_, offer| at.saturating_duration_since(offer.at) <= OFFER_LIFE);
    }
    if offers.len() < OFFERS_MAX || offers.contains_key(&ip) {
        let offer = Offer {
            known,
            step: 0,
            unanswered,
            at,
        };
        offers.insert(ip, offer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn ip(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    /// `UNANSWERED_MAX`
    #[test]
    fn who_does_not_answer_is_offered_something_simpler_and_who_answers_gets_that_again() {
        let (offers, now) = (Offers::default(), Instant::now());
        let ask = |ip| offers.challenge(ip, false, now);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let row: Vec<_> = (0..UNANSWERED_MAX).map(|_| ask(ip(1))).collect();
            assert!(row.windows(2).all(|two| two[0] == two[1]), "{row:?}");
            seen.push(row[0]);
        }
        let md5 = Some(Challenge::Md5);
        assert_eq!(seen, [None, md5, None]);
        for _ in 0..=UNANSWERED_MAX {
            ask(ip(2));
        }
        for _ in 0..20 {
            offers.answered(ip(2));
            assert_eq!(ask(ip(2)), md5);
        }
        for _ in 0..20 {
            offers.answered(ip(3));
            assert_eq!(ask(ip(3)), None);
        }
    }

    /// `OFFER_LIFE`
    #[test]
    fn what_a_pack_says_is_offered_first_until_it_was_not_heard_of_for_long() {
        let (offers, now) = (Offers::default(), Instant::now());
        let basic = Some(Challenge::Basic);
        offers.learned(ip(1), Challenge::Basic, now);
        for _ in 0..20 {
            assert_eq!(offers.challenge(ip(1), false, now), basic);
            offers.answered(ip(1));
        }
        let later = now + OFFER_LIFE + Duration::from_secs(1);
        assert_eq!(offers.challenge(ip(1), false, later), None);
    }

    #[test]
    fn others_at_the_address_of_a_device_that_answers_one_thing_only_are_asked_otherwise_too() {
        let (offers, now) = (Offers::default(), Instant::now());
        offers.learned(ip(1), Challenge::Basic, now);
        let mut seen = Vec::new();
        for _ in 0..5 * usize::from(UNANSWERED_MAX) {
            seen.push(offers.challenge(ip(1), false, now));
        }
        seen.dedup();
        let (basic, md5) = (Some(Challenge::Basic), Some(Challenge::Md5));
        assert_eq!(seen, [basic, None, md5, basic, None]);
    }

    /// `OFFER_LIFE`
    #[test]
    fn who_keeps_asking_does_not_keep_an_address_from_being_offered_everything_again() {
        let (offers, now) = (Offers::default(), Instant::now());
        let mut later = now;
        let mut ask = |pause: Duration| {
            later += pause;
            offers.challenge(ip(1), false, later)
        };
        for _ in 0..UNANSWERED_MAX {
            assert_eq!(ask(Duration::ZERO), None);
        }
        let md5 = Some(Challenge::Md5);
        assert_eq!(ask(Duration::ZERO), md5);
        assert_eq!(ask(OFFER_LIFE / 2), md5);
        assert_eq!(ask(OFFER_LIFE / 2), md5);
        assert_eq!(ask(Duration::from_secs(1)), None);
    }

    /// `OFFERS_MAX`
    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let (offers, now) = (Offers::default(), Instant::now());
        for n in 0..=OFFERS_MAX as u32 {
            offers.challenge(ip(n), false, now);
        }
        assert_eq!(offers.lock().len(), OFFERS_MAX);
        let later = now + OFFER_LIFE + Duration::from_secs(1);
        offers.challenge(ip(u32::MAX), false, later);
        assert_eq!(offers.lock().len(), 1);
    }
}
