"""A LwM2M device made of aiocoap: registers, is observed, takes a package by Block1 or fetches it by Block2, and says what it saw."""
import asyncio
import hashlib
import json
import sys

import aiocoap
import aiocoap.resource as resource

SERVER, TCP_SERVER, ENDPOINT = sys.argv[1:4]
values = {"3/0/0": "Example", "3/0/3": "1.0.0", "3/0/14": "+00:00", "5/0/3": "0", "5/0/5": "0", "5/0/9": "2"}
nodes = {}


def say(**what):
    print(json.dumps(what), flush=True)


class Value(resource.ObservableResource):
    def __init__(self, path):
        super().__init__()
        self.path = path

    async def render_get(self, request):
        return aiocoap.Message(payload=values[self.path].encode(), content_format=0)

    async def render_put(self, request):
        change(self.path, request.payload.decode())
        return aiocoap.Message(code=aiocoap.CHANGED)


def change(path, value):
    values[path] = value
    nodes[path].updated_state()


class Package(resource.Resource):
    async def render_put(self, request):
        say(pushed=hashlib.sha256(request.payload).hexdigest())
        change("5/0/3", "2")
        return aiocoap.Message(code=aiocoap.CHANGED)


class PackageUri(resource.Resource):
    async def render_put(self, request):
        change("5/0/3", "1")
        asyncio.ensure_future(fetch(request.payload.decode()))
        return aiocoap.Message(code=aiocoap.CHANGED)


async def get(uri):
    return await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response


async def fetch(uri):
    answer = await get(uri)
    say(pulled=hashlib.sha256(answer.payload).hexdigest())
    change("5/0/3", "2")


class Update(resource.Resource):
    async def render_post(self, request):
        for path, value in (("3/0/3", "1.1.0"), ("5/0/5", "1"), ("5/0/3", "0")):
            change(path, value)
        asyncio.ensure_future(register())
        return aiocoap.Message(code=aiocoap.CHANGED)


async def register():
    links = b"</3/0>,</5/0>"
    uri = f"{SERVER}/rd?ep={ENDPOINT}&lt=300&lwm2m=1.1&b=U"
    answer = await context.request(aiocoap.Message(code=aiocoap.POST, uri=uri, payload=links, content_format=40)).response
    say(registered=str(answer.code), location="/".join(answer.opt.location_path))


async def main():
    global context
    site = resource.Site()
    for path in values:
        nodes[path] = Value(path)
        site.add_resource(path.split("/"), nodes[path])
    site.add_resource(["5", "0", "0"], Package())
    site.add_resource(["5", "0", "1"], PackageUri())
    site.add_resource(["5", "0", "2"], Update())
    context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", 0), transports=["udp6", "tcpclient"])
    await register()
    # Ends with the test, which closes its end of the pipe.
    while path := (await asyncio.to_thread(sys.stdin.readline)).strip():
        answer = await get(TCP_SERVER + path)
        say(tcp=hashlib.sha256(answer.payload).hexdigest(), code=str(answer.code))


asyncio.run(main())
