// Run by the build: makes the page's files into one document and the policy that allows its script and style by hash.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import type { PageDocument } from './http/page.js';

const source = new URL('../src/page/', import.meta.url);
const built = new URL('./page/', import.meta.url);
const html = readFileSync(new URL('index.html', source), 'utf8');
const css = bundled(new URL('page.css', source));
const script = bundled(new URL('main.js', built));

const page: PageDocument = {
	html: replaceOnce(
		replaceOnce(html, '<link rel="stylesheet" href="page.css">', `<style>${css}</style>`),
		'<script src="main.js"></script>',
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
		// Only text goes into the document: no script may hand it HTML.
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	].join('; '),
};
writeFileSync(new URL('document.json', built), JSON.stringify(page));

/** The file with all that it imports, in as few bytes as may be. */
function bundled(entry: URL): string {
	const { outputFiles } = buildSync({
		entryPoints: [fileURLToPath(entry)],
		bundle: true,
		minify: true,
		write: false,
		format: 'iife',
		target: 'es2022',
		charset: 'utf8',
	});
	const [output] = outputFiles;
	if (output === undefined) throw new Error(`esbuild made nothing of ${entry}`);
	return output.text;
}

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
