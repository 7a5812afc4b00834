// All rows about HTTP.
import { chunkedBodies, splits } from './http-chunks.js';
import { incomplete, persistence } from './http-connection.js';
import { fieldSyntax, hosts } from './http-fields.js';
import { unusedInputs } from './http-known.js';
import { lengths } from './http-length.js';
import { malformedBodies } from './http-malformed-bodies.js';
import { malformedHeads } from './http-malformed-heads.js';
import { content, methods } from './http-methods.js';
import { conditions, negotiation } from './http-negotiation.js';
import { paths } from './http-paths.js';
import { requestLines } from './http-request-line.js';
import type { HttpRow } from './http-rows.js';
import { smuggling } from './http-smuggling.js';

const unused = unusedInputs();
if (unused.length > 0) throw new Error(`no row has ${unused.join('; ')}`);

/** In the order of the RFCs, then of the sections. */
export const httpTables: readonly HttpRow[] = [
	requestLines,
	hosts,
	fieldSyntax,
	lengths,
	chunkedBodies,
	splits,
	smuggling,
	persistence,
	incomplete,
	malformedHeads,
	malformedBodies,
	methods,
	content,
	conditions,
	negotiation,
	paths,
]
	.flat()
	.sort((a, b) => a.section.localeCompare(b.section, 'en', { numeric: true }));
