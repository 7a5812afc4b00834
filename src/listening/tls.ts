// Checks the certificate and key before the engine gets them: its only error is "App construction failed".
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { readGivenFile } from '../given-file.js';
import { StartError } from '../start-error.js';

export type TlsFiles = { readonly cert: string; readonly key: string };

/** Throws a StartError if the files cannot serve TLS now. */
export function checkTls({ cert, key }: TlsFiles): void {
	const certPem = readGivenFile('--tls-cert', cert);
	const keyPem = readGivenFile('--tls-key', key);
	const certificate = parseOr(`--tls-cert: ${cert} holds no certificate in PEM`, () => new X509Certificate(certPem));
	parseOr(`--tls-key: ${key} holds no private key in PEM without a passphrase`, () => createSecureContext({ key: keyPem }));
	parseOr(`--tls-cert: ${cert} is not a whole chain of certificates in PEM`, () => createSecureContext({ cert: certPem }));
	parseOr(`--tls-key: ${key} is not the key of the certificate in ${cert}`, () =>
		createSecureContext({ cert: certPem, key: keyPem }),
	);
	const now = Date.now();
	if (now > Date.parse(certificate.validTo))
		throw new StartError(`--tls-cert: ${cert} expired on ${certificate.validTo}; renew it.`);
	if (now < Date.parse(certificate.validFrom)) {
		throw new StartError(
			`--tls-cert: ${cert} is not valid before ${certificate.validFrom}; check the certificate and the clock.`,
		);
	}
}

function parseOr<Parsed>(complaint: string, parse: () => Parsed): Parsed {
	try {
		return parse();
	} catch {
		throw new StartError(`${complaint}; check that both files are the right ones.`);
	}
}
