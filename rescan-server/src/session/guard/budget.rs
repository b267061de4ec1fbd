//! A quota shared by all connections, with a guaranteed minimum for each.
//!
//! Every connection has a share that no other can use, so a client with small demands is always served. Amounts beyond the
//! share come out of a budget that all connections share, and no connection may use all of that. Dropping a reservation
//! releases it.

use std::cell::Cell;
use std::rc::Rc;

/// The amount that all connections may reserve together beyond their shares.
#[derive(Debug)]
pub(crate) struct SharedBudget {
    max: u64,
    reserved: Cell<u64>,
}

impl SharedBudget {
    pub(crate) fn new(max: u64) -> Rc<Self> {
        Rc::new(Self { max, reserved: Cell::new(0) })
    }
}

/// The budget of one connection.
#[derive(Debug)]
pub(crate) struct Budget {
    shared: Rc<SharedBudget>,
    /// The guaranteed minimum.
    share: u64,
    /// The maximum.
    max: u64,
    reserved: Cell<u64>,
}

/// The budget that has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// The connection's own.
    Connection,
    /// That of all connections together.
    Server,
}

impl Budget {
    pub(crate) fn new(shared: &Rc<SharedBudget>, share: u64, max: u64) -> Rc<Self> {
        Rc::new(Self { shared: Rc::clone(shared), share, max, reserved: Cell::new(0) })
    }

    /// Reserves `amount`, or nothing.
    pub(crate) fn reserve(self: &Rc<Self>, amount: u64) -> Result<Reservation, Exhausted> {
        let reservation = self.reserve_nothing();
        reservation.grow(amount)?;
        Ok(reservation)
    }

    /// An empty reservation.
    pub(crate) fn reserve_nothing(self: &Rc<Self>) -> Reservation {
        Reservation { budget: Rc::clone(self), amount: Cell::new(0) }
    }

    /// The amount that can be reserved at the moment.
    pub(crate) fn available(&self) -> u64 {
        let reserved = self.reserved.get();
        let of_share = self.share.saturating_sub(reserved);
        let of_shared = self.shared.max.saturating_sub(self.shared.reserved.get());
        of_share.saturating_add(of_shared).min(self.max.saturating_sub(reserved))
    }

    fn set(&self, reserved: u64) {
        let beyond_share = |reserved: u64| reserved.saturating_sub(self.share);
        let others = self.shared.reserved.get().saturating_sub(beyond_share(self.reserved.get()));
        self.shared.reserved.set(others.saturating_add(beyond_share(reserved)));
        self.reserved.set(reserved);
    }
}

/// Part of a budget, released when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Rc<Budget>,
    amount: Cell<u64>,
}

impl Reservation {
    /// Reserves `more` in addition, or stays unchanged.
    pub(crate) fn grow(&self, more: u64) -> Result<(), Exhausted> {
        let budget = &self.budget;
        if more > budget.available() {
            let is_own = budget.reserved.get().saturating_add(more) > budget.max;
            return Err(if is_own { Exhausted::Connection } else { Exhausted::Server });
        }
        budget.set(budget.reserved.get().saturating_add(more));
        self.amount.set(self.amount.get().saturating_add(more));
        Ok(())
    }

    /// An empty reservation of the same budget.
    pub(crate) fn empty(&self) -> Self {
        self.budget.reserve_nothing()
    }

    /// The amount that can be reserved at the moment.
    pub(crate) fn available(&self) -> u64 {
        self.budget.available()
    }

    /// Grows to at least `amount`, or stays unchanged.
    pub(crate) fn grow_to(&self, amount: u64) -> Result<(), Exhausted> {
        self.grow(amount.saturating_sub(self.amount.get()))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.set(self.budget.reserved.get().saturating_sub(self.amount.get()));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_free_for_its_owner_whatever_the_others_reserve() {
        let shared = SharedBudget::new(100);
        let (greedy, modest) = (Budget::new(&shared, 10, 1_000), Budget::new(&shared, 10, 1_000));
        let all = greedy.reserve(110).unwrap();
        assert_eq!(greedy.reserve(1).unwrap_err(), Exhausted::Server);
        assert_eq!(modest.available(), 10);
        let own = modest.reserve(10).unwrap();
        assert_eq!(modest.reserve(1).unwrap_err(), Exhausted::Server);
        drop(all);
        own.grow(100).unwrap();
    }

    #[test]
    fn no_connection_reserves_more_than_its_maximum() {
        let shared = SharedBudget::new(100);
        let budget = Budget::new(&shared, 10, 50);
        let reservation = budget.reserve(30).unwrap();
        assert_eq!(budget.available(), 20);
        assert_eq!(reservation.grow(21), Err(Exhausted::Connection));
        reservation.grow_to(50).unwrap();
        reservation.grow_to(40).unwrap();
        assert_eq!(budget.available(), 0);
    }

    #[test]
    fn a_dropped_reservation_is_available_again_in_any_order() {
        let shared = SharedBudget::new(20);
        let budget = Budget::new(&shared, 10, 30);
        let reservations: Vec<Reservation> = (0..6).map(|_| budget.reserve(5).unwrap()).collect();
        for (count, reservation) in (1..).zip(reservations) {
            drop(reservation);
            assert_eq!(budget.available(), 5 * count);
        }
        assert_eq!(shared.reserved.get(), 0);
    }
}
