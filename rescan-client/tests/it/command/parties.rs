//! Coins, several wallets, and late reports: what is printed for whom.
