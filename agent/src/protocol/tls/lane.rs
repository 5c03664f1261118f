//! One direction: records (RFC 8446 section 5.1) -> the first message of the handshake.

use super::{
    MAX_HELLO,
    hello::Message,
    record::{self, HANDSHAKE, MAX_FRAGMENT},
};

const MESSAGE_HEADER: usize = 4;

/// Reads the first message of a direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The header of the record that is read, as far as it came.
    header: [u8; record::HEADER],
    header_length: usize,
    /// Bytes of the record that are to come.
    left: usize,
    /// The message, as far as it came.
    message: Vec<u8>,
    over: bool,
}

impl Lane {
    /// The next bytes. Returns the message with its last byte, if it is a hello.
    pub(super) fn data(&mut self, mut bytes: &[u8]) -> Option<Message> {
        while !self.over && !bytes.is_empty() {
            if self.left == 0 {
                let (header, rest) = bytes.split_at(bytes.len().min(record::HEADER - self.header_length));
                self.header[self.header_length..][..header.len()].copy_from_slice(header);
                self.header_length += header.len();
                bytes = rest;
                if self.header_length == record::HEADER {
                    self.begin_record();
                }
                continue;
            }
            let wanted = self.message_length().unwrap_or(MESSAGE_HEADER) - self.message.len();
            let (fragment, rest) = bytes.split_at(bytes.len().min(self.left).min(wanted));
            self.message.extend_from_slice(fragment);
            self.left -= fragment.len();
            bytes = rest;
            match self.message_length() {
                Some(length) if length > MAX_HELLO => self.give_up(),
                Some(length) if length == self.message.len() => {
                    let message = Message::parse(&self.message);
                    self.give_up();
                    return message;
                }
                _ => {}
            }
        }
        None
    }

    /// Nothing more is read.
    pub(super) fn give_up(&mut self) {
        self.over = true;
        self.message = Vec::new();
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    #[cfg(test)]
    pub(super) fn retained(&self) -> usize {
        self.message.len()
    }

    fn begin_record(&mut self) {
        let [kind, major, _, high, low] = self.header;
        let length = u16::from_be_bytes([high, low]);
        self.header_length = 0;
        self.left = usize::from(length);
        // A fragment of a handshake is never empty.
        if kind != HANDSHAKE || major != 3 || length == 0 || length > MAX_FRAGMENT {
            self.give_up();
        }
    }

    /// Length of the message with its header, once that came.
    fn message_length(&self) -> Option<usize> {
        let &[_, high, middle, low] = self.message.first_chunk()?;
        Some(MESSAGE_HEADER + u32::from_be_bytes([0, high, middle, low]) as usize)
    }
}
