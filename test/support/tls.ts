// A certificate made for these tests, for localhost, and what a client must know to trust it.
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { pem } from './pem.js';

export const certPath = pem('valid.cert');
export const keyPath = pem('valid.key');
export const tlsFlags = ['--tls-cert', certPath, '--tls-key', keyPath];
export const tls = { secureContext: createSecureContext({ ca: readFileSync(certPath) }), servername: 'localhost' };
