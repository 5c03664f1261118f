//! `Exchange` x plan -> metrics, spans and access-log records.
