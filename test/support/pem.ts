import { fileURLToPath } from 'node:url';

/** The path of a file made for these tests with OpenSSL, for localhost: valid for a century, expired in 2021, not valid before 2100. */
export const pem = (name: string) => fileURLToPath(new URL(`../../../test/support/tls/${name}.pem`, import.meta.url));
