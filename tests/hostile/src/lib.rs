//! Programs that attack the suite from many sides at once; here is what they share.

pub mod load;
