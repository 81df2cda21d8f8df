// A client that openapi-typescript makes from /openapi.json: every path, body and answer below is checked by the compiler, and then really asked for.
import createClient from "openapi-fetch";

import type {components, paths} from "./api.js";

const client = createClient<paths>({baseUrl: process.argv[2] ?? "http://localhost:8000"});
const unique = process.argv[3] ?? "rest";

function wanted<T>(data: T | undefined, error: unknown): T {
    if (data === undefined)
        throw new Error(JSON.stringify(error));
    return data;
}

const made = await client.POST("/api/companies", {body: {name: `Rest ${unique}`, slug: `rest-${unique}`, settings: {locale: "en"}}});
const company: components["schemas"]["Company"] = wanted(made.data, made.error);
const changed = await client.PUT("/api/companies/{id}", {params: {path: {id: company.id}}, body: {description: "Changed"}});
const list = await client.GET("/api/companies", {params: {query: {limit: 1}}});
const token: string | null = wanted(list.data, list.error).next_page_token;

const twice = await client.POST("/api/companies", {body: {name: `Another ${unique}`, slug: `rest-${unique}`}});
if (twice.data !== undefined)
    throw new Error("The same slug twice");
const problem: components["schemas"]["Problem"] = twice.error;

// @ts-expect-error: a company needs a slug
const wrong = await client.POST("/api/companies", {body: {name: "No slug"}});
// @ts-expect-error: this key does not exist
const mistyped: components["schemas"]["CompanyUpdate"] = {descripton: "Mistyped"};

const gone = await client.DELETE("/api/companies/{id}", {params: {path: {id: company.id}}});
console.log(JSON.stringify({description: wanted(changed.data, changed.error).description, has_next_page: token !== null, reason: problem.reason,
    status: twice.response.status, fields: wrong.error?.errors.map((each) => each.field), gone: gone.response.status, mistyped: Object.keys(mistyped)}));
