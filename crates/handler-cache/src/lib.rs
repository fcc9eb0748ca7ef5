//! The live generation in memory, carried by Redis or in process, and the hints that travel beside it.
