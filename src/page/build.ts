// Run by the build: makes the page's files into one document and the policy that allows its script and style by hash.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { PageDocument } from '../doors/page.js';

const source = new URL('../../src/page/', import.meta.url);
const html = readFileSync(new URL('index.html', source), 'utf8');
const css = readFileSync(new URL('page.css', source), 'utf8');
const script = readFileSync(new URL('page.js', import.meta.url), 'utf8');

const page: PageDocument = {
	html: replaceOnce(
		replaceOnce(html, '<link rel="stylesheet" href="page.css">', `<style>${css}</style>`),
		'<script src="page.js"></script>',
		`<script>${script}</script>`,
	),
	contentSecurityPolicy: [
		"default-src 'none'",
		`script-src ${hashOf(script)}`,
		`style-src ${hashOf(css)}`,
		"connect-src 'self'",
		'img-src data:',
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	].join('; '),
};
writeFileSync(new URL('document.json', import.meta.url), JSON.stringify(page));

function replaceOnce(text: string, tag: string, replacement: string): string {
	if (text.split(tag).length !== 2) throw new Error(`index.html must hold ${tag} exactly once`);
	if (/<\/(style|script)/i.test(replacement.replace(/<\/(style|script)>$/, '')))
		throw new Error('an inlined file must not close its own element');
	return text.replace(tag, () => replacement);
}

// CSP level 3, section 2.3.1: a hash source, quotes included.
function hashOf(inline: string): string {
	return `'sha256-${createHash('sha256').update(inline).digest('base64')}'`;
}
