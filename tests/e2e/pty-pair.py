"""Makes two pseudo-terminals that are each other's far end, prints their names, and obeys lines on stdin.

garble 0.1   flips a bit in this share of the octets from now on (0 = none)
hang up      closes both: the ports vanish
open         makes them again, under the same links
"""
import os
import pty
import random
import select
import sys
import time
import tty

links = sys.argv[1:3]
chance = random.Random(int(sys.argv[3]))
garble = 0.0
masters = []


def make():
    for link in links:
        master, slave = pty.openpty()
        tty.setraw(master)
        tty.setraw(slave)
        os.set_blocking(master, False)
        temporary = link + ".new"
        if os.path.islink(temporary):
            os.unlink(temporary)
        os.symlink(os.ttyname(slave), temporary)
        os.rename(temporary, link)
        masters.append(master)
        os.close(slave)


def damage(octets):
    return bytes(o ^ (1 << chance.randrange(8)) if chance.random() < garble else o for o in octets)


make()
print("ready", flush=True)
while True:
    ready, _, _ = select.select([sys.stdin] + masters, [], [], 0.05 if masters else None)
    for source in ready:
        if source is sys.stdin:
            line = sys.stdin.readline()
            if not line:
                sys.exit(0)
            word, _, value = line.strip().partition(" ")
            if word == "garble":
                garble = float(value)
            elif word == "hang":
                for master in masters:
                    os.close(master)
                masters.clear()
                for link in links:
                    os.unlink(link)
                break
            elif word == "open":
                make()
            print("done", flush=True)
            continue
        try:
            octets = os.read(source, 4096)
        except OSError:
            # Nobody has the other side open now.
            time.sleep(0.01)
            continue
        other = masters[1 - masters.index(source)]
        try:
            os.write(other, damage(octets))
        except OSError:
            pass
    else:
        continue
    print("done", flush=True)
