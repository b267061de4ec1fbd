//! So much of something that connections hold together, and each for itself.
//!
//! Every connection has a share that nobody can take from it: whoever asks for little is served whatever the others do.
//! What goes beyond it comes out of one pool for all, and no connection may have all of that. What is held is given back
//! by dropping it, and an account outlives whatever is held in its name.

use std::cell::Cell;
use std::rc::Rc;

/// What all connections may hold together beyond their shares.
#[derive(Debug)]
pub(crate) struct Pool {
    max: u64,
    taken: Cell<u64>,
}

impl Pool {
    pub(crate) fn new(max: u64) -> Rc<Self> {
        Rc::new(Self { max, taken: Cell::new(0) })
    }
}

/// What one connection holds.
#[derive(Debug)]
pub(crate) struct Account {
    pool: Rc<Pool>,
    /// What it may hold in any case.
    share: u64,
    /// What it may hold at the most.
    max: u64,
    held: Cell<u64>,
}

/// Whose bound it was that left no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The connection's own.
    Connection,
    /// That of all connections together.
    Server,
}

impl Account {
    pub(crate) fn new(pool: &Rc<Pool>, share: u64, max: u64) -> Rc<Self> {
        Rc::new(Self { pool: Rc::clone(pool), share, max, held: Cell::new(0) })
    }

    /// Holds `amount` more, or nothing.
    pub(crate) fn hold(self: &Rc<Self>, amount: u64) -> Result<Held, Full> {
        let held = self.hold_nothing();
        held.grow(amount)?;
        Ok(held)
    }

    /// Holds nothing yet.
    pub(crate) fn hold_nothing(self: &Rc<Self>) -> Held {
        Held { account: Rc::clone(self), amount: Cell::new(0) }
    }

    /// How much more could be held at the moment.
    pub(crate) fn room(&self) -> u64 {
        let held = self.held.get();
        let unshared = self.share.saturating_sub(held);
        let pooled = self.pool.max.saturating_sub(self.pool.taken.get());
        unshared.saturating_add(pooled).min(self.max.saturating_sub(held))
    }

    fn set(&self, held: u64) {
        let beyond = |held: u64| held.saturating_sub(self.share);
        let others = self.pool.taken.get().saturating_sub(beyond(self.held.get()));
        self.pool.taken.set(others.saturating_add(beyond(held)));
        self.held.set(held);
    }
}

/// Part of an account, given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    account: Rc<Account>,
    amount: Cell<u64>,
}

impl Held {
    /// Holds `more` in addition, or stays as it is.
    pub(crate) fn grow(&self, more: u64) -> Result<(), Full> {
        let account = &self.account;
        if more > account.room() {
            let is_own = account.held.get().saturating_add(more) > account.max;
            return Err(if is_own { Full::Connection } else { Full::Server });
        }
        account.set(account.held.get().saturating_add(more));
        self.amount.set(self.amount.get().saturating_add(more));
        Ok(())
    }

    /// Nothing yet, of the same account.
    pub(crate) fn nothing(&self) -> Self {
        self.account.hold_nothing()
    }

    /// How much more could be held at the moment.
    pub(crate) fn room(&self) -> u64 {
        self.account.room()
    }

    /// Holds `amount` in all, if there is room for what that is more.
    pub(crate) fn grow_to(&self, amount: u64) -> Result<(), Full> {
        self.grow(amount.saturating_sub(self.amount.get()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.set(self.account.held.get().saturating_sub(self.amount.get()));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_there_for_its_owner_whatever_the_others_hold() {
        let pool = Pool::new(100);
        let (greedy, modest) = (Account::new(&pool, 10, 1_000), Account::new(&pool, 10, 1_000));
        let all = greedy.hold(110).unwrap();
        assert_eq!(greedy.hold(1).unwrap_err(), Full::Server);
        assert_eq!(modest.room(), 10);
        let own = modest.hold(10).unwrap();
        assert_eq!(modest.hold(1).unwrap_err(), Full::Server);
        drop(all);
        own.grow(100).unwrap();
    }

    #[test]
    fn no_connection_holds_more_than_its_maximum() {
        let pool = Pool::new(100);
        let account = Account::new(&pool, 10, 50);
        let held = account.hold(30).unwrap();
        assert_eq!(account.room(), 20);
        assert_eq!(held.grow(21), Err(Full::Connection));
        held.grow_to(50).unwrap();
        held.grow_to(40).unwrap();
        assert_eq!(account.room(), 0);
    }

    #[test]
    fn what_is_dropped_is_there_again_in_whatever_order() {
        let pool = Pool::new(20);
        let account = Account::new(&pool, 10, 30);
        let held: Vec<Held> = (0..6).map(|_| account.hold(5).unwrap()).collect();
        for (count, part) in (1..).zip(held) {
            drop(part);
            assert_eq!(account.room(), 5 * count);
        }
        assert_eq!(pool.taken.get(), 0);
    }
}
