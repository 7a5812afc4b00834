// How much of a body is discarded before the answer that ends a connection. The system resets a connection that is closed while bytes
// of it are unread, and the reset can overtake the answer: the client would never learn why it was refused.
export const discardedBytesMax = 16_777_216;
export const discardMsMax = 5_000;
